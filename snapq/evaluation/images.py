"""Pictures of a folder as samples: one picture is decoded at a time.

Every header is read when the data set is opened, so that a picture of the wrong size or kind is
refused before any work is done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, UnidentifiedImageError

from snapq.config import DataSource, Preprocess
from snapq.errors import DataError, SnapqError
from snapq.evaluation.files import check_exists, list_files
from snapq.evaluation.labels import no_labels, read_labels
from snapq.evaluation.pictures import open_picture
from snapq.evaluation.preprocess import (
    check_size,
    image_layout,
    normalize,
    to_frame,
    upright_size,
)
from snapq.evaluation.samples import (
    Dataset,
    Label,
    Sample,
    counted,
    evenly_spaced,
    named_input,
    shown,
    update_digest,
)
from snapq.storage import sha256_file

if TYPE_CHECKING:
    from snapq.graph.shapes import TensorSpec

SUFFIXES = frozenset(
    f".{kind}"
    for kind in "bmp gif jp2 jpeg jpg pbm pgm png pnm ppm tif tiff webp".split()  # noqa: SIM905
)
_SCALED_MODES = ("I;16", "I;16B", "I;16L", "I;16N")


def open_images(
    source: DataSource, inputs: Sequence[TensorSpec], *, base: Path, labelled: bool
) -> Dataset:
    """Opens `images:` of a data source.

    Raises:
        DataError: the folder, a picture's header, a label or the model's input does not fit.
    """
    assert source.images is not None
    root = base / source.images
    preprocess = source.preprocess or Preprocess()
    spec = image_input(source, inputs)
    image = image_layout(spec, preprocess, str(root))
    check_exists(root)
    folder = root if root.is_dir() else root.parent
    beside = base / source.labels if source.labels is not None else None
    available, others = (
        list_files(root, SUFFIXES, "image", labels=beside)
        if root.is_dir()
        else ((Path(root.name),), 0)
    )
    files = tuple(available[i] for i in evenly_spaced(len(available), source.samples))
    for file in files:
        with opened(folder / file) as picture:
            _check_kind(picture, folder / file)
            check_size(upright_size(picture), preprocess, image, str(folder / file))
    if beside is not None:
        labels = read_labels(
            beside,
            available,
            folder=folder,
            preprocess=preprocess,
            class_numbers=source.class_numbers,
            alphabet=base / source.alphabet if source.alphabet is not None else None,
        )
    elif labelled:
        raise DataError(
            "These pictures have no labels, and the metric needs them.",
            where=str(root),
            hint="Write `labels: FILE.csv` (columns `file,label`) beside `images:`.",
        )
    else:
        labels = no_labels
    description = counted(
        len(files), len(available), source.samples, "image", shown(root, base), others
    )

    def samples() -> Iterator[Sample]:
        for file in files:
            path = folder / file
            with opened(path) as picture:
                frame = to_frame(picture, preprocess)
            feed = normalize(frame, preprocess, image, str(path))
            yield Sample(str(path), {spec.name: feed}, {spec.name: frame}, labels(file))

    def fingerprint() -> str:
        digest = hashlib.sha256(preprocess.model_dump_json().encode())
        digest.update(f"{spec.name}{spec.dtype}{spec.shape}".encode())
        for file in files:
            digest.update(f"{file.as_posix()}\0{sha256_file(folder / file)}".encode())
            update_digest(digest, labels(file))
        return digest.hexdigest()

    def named_labels() -> Iterator[tuple[str, Label | None]]:
        return ((str(folder / file), labels(file)) for file in files)

    told = named_labels if beside is not None else None
    return Dataset(samples, len(files), description, fingerprint, labels=told)


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Opens a picture; whatever Pillow finds wrong with it while it is open becomes a `DataError`.

    Raises:
        DataError: the file is empty, damaged, too large or not a picture.
    """
    try:
        with open_picture(path) as picture:
            yield picture
    except SnapqError:
        raise
    except UnidentifiedImageError as error:
        empty = path.stat().st_size == 0
        raise DataError(
            "The file is empty." if empty else "The file is not an image that Pillow can read.",
            where=str(path),
            hint="Remove or replace it.",
        ) from error
    except Exception as error:
        # Pillow's decoders raise errors of many kinds for damaged files.
        raise DataError(
            f"The image cannot be read: {str(error).rstrip('.')}.",
            where=str(path),
            hint="Remove or replace it.",
        ) from error


def _check_kind(picture: Image.Image, path: Path) -> None:
    frames = getattr(picture, "n_frames", 1)
    # Phones write MPO: the picture, and a second one for depth or a preview.
    if frames > 1 and picture.format != "MPO":
        hint = "Save each picture to a file of its own."
        raise DataError(f"The file holds {frames} pictures.", where=str(path), hint=hint)
    wide = picture.mode in ("I", "F") and picture.format != "PNG"
    if wide or (picture.mode.startswith("I;") and picture.mode not in _SCALED_MODES):
        raise DataError(
            f"Its pixels are of Pillow's mode {picture.mode}, which is not 8 or 16 bits a channel.",
            where=str(path),
            hint="Save it with 8 bits a channel, or give arrays: `arrays: FILE.npy`.",
        )


def image_input(source: DataSource, inputs: Sequence[TensorSpec]) -> TensorSpec:
    """The model's input that a source of images feeds. Raises `DataError`."""
    hint = "Use `arrays` (an .npz with one key an input) or `python: module:function`."
    return named_input(source, inputs, str(source.images), "Images feed", hint)
