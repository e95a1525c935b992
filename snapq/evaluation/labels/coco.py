"""Boxes as COCO has them: one JSON with `images`, `annotations` and `categories`."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from snapq.config import ClassNumbers, Preprocess
from snapq.errors import DataError, did_you_mean
from snapq.evaluation.labels.boxes import in_the_input, picture_size
from snapq.evaluation.samples import Array, Label
from snapq.storage import storage_errors


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Image(_Part):
    id: int | str
    file_name: str
    width: int | None = None
    height: int | None = None


class _Annotation(_Part):
    image_id: int | str
    category_id: int
    bbox: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]
    iscrowd: int = Field(default=0, ge=0, le=1)


class _Category(_Part):
    id: int = Field(ge=0)


class _File(_Part):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def read_coco(
    path: Path,
    files: Sequence[Path],
    folder: Path,
    preprocess: Preprocess,
    class_numbers: ClassNumbers,
) -> Callable[[Path], Label]:
    """Boxes [N, 6] of each picture in pixels of the model's input.

    Raises:
        DataError: the file is not COCO's, or a picture is not in it.
    """
    given = _read(path)
    found = _by_file(given, files, path)
    numbers = sorted({category.id for category in given.categories})
    if class_numbers is ClassNumbers.IDS:
        classes = {number: number for number in numbers}
    else:
        classes = {number: index for index, number in enumerate(numbers)}
    boxes: defaultdict[int | str, list[tuple[float, ...]]] = defaultdict(list)
    for index, one in enumerate(given.annotations):
        if one.category_id not in classes:
            raise DataError(
                f"There is no category {one.category_id}.",
                where=f"{path}: annotations.{index}",
                hint="Add it to `categories`, or correct `category_id`.",
            )
        x, y, width, height = one.bbox
        row = (x, y, x + width, y + height, float(classes[one.category_id]), float(one.iscrowd))
        boxes[one.image_id].append(row)

    def label(file: Path) -> Label:
        image = found[file]
        size = picture_size(folder / file)
        if None not in (image.width, image.height) and size != (image.width, image.height):
            raise DataError(
                f"{file} is {size[0]} x {size[1]} pixels, and `images` says {image.width} x "
                f"{image.height}.",
                where=str(path),
                hint="Give the pictures that the boxes were drawn on.",
            )
        rows: Array = np.array(boxes[image.id], np.float64).reshape(-1, 6)
        return in_the_input(rows, size, preprocess)

    return label


def _read(path: Path) -> _File:
    hint = "It needs `images`, `annotations` with `bbox`, and `categories`, as COCO's files have."
    try:
        with storage_errors(path):
            text = path.read_bytes()
        return _File.model_validate(json.loads(text))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        what = f"It is not COCO's form: {place}: {first['msg']}."
        raise DataError(what, where=str(path), hint=hint) from error
    except (ValueError, RecursionError) as error:
        what = f"It is not JSON: {str(error)[:200] or type(error).__name__}."
        raise DataError(what, where=str(path), hint=hint) from error


def _by_file(given: _File, files: Sequence[Path], path: Path) -> dict[Path, _Image]:
    """The entry of each picture, by its path under the folder, else by its name alone."""
    whole = {PurePosixPath(image.file_name.replace("\\", "/")): image for image in given.images}
    names: dict[str, list[_Image]] = defaultdict(list)
    for place, image in whole.items():
        names[place.name].append(image)
    found = {}
    for file in files:
        alike = names.get(file.name, [])
        by_name = alike[0] if len(alike) == 1 else None
        entry = whole.get(PurePosixPath(file.as_posix()), by_name)
        if entry is None:
            raise DataError(
                f"`images` has no entry for {file}."
                if not alike
                else f"`images` has {len(alike)} entries named {file.name}.",
                where=str(path),
                hint=did_you_mean(
                    file.name, sorted(names)[:1000], "Label every picture, or remove it."
                ),
            )
        found[file] = entry
    return found
