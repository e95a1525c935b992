"""Pictures of a folder as samples: one picture is decoded at a time.

Every header is read when the data set is opened, so that a picture of the wrong size or kind is
refused before any work is done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, UnidentifiedImageError

from snapq.config import DataSource, Preprocess
from snapq.errors import DataError, SnapqError, nearest
from snapq.evaluation.files import check_exists, list_files
from snapq.evaluation.labels import Labels, no_labels, read_labels
from snapq.evaluation.preprocess import (
    ImageInput,
    check_size,
    image_layout,
    normalize,
    to_frame,
    upright_size,
)
from snapq.evaluation.samples import Sample, counted, evenly_spaced, shown, update_digest
from snapq.storage import sha256_file

if TYPE_CHECKING:
    from snapq.graph.shapes import TensorSpec

SUFFIXES = frozenset(
    f".{kind}"
    for kind in "bmp gif jp2 jpeg jpg pbm pgm png pnm ppm tif tiff webp".split()  # noqa: SIM905
)
_SCALED_MODES = ("I;16", "I;16B", "I;16L", "I;16N")


@dataclass(frozen=True)
class ImageDataset:
    """Pictures of a folder, sorted by path.

    Attributes:
        folder: the folder that names are relative to.
        files: the selected pictures, relative to `folder`.
        image: the input that they feed.
        preprocess: how a picture becomes the input.
        labels: label of each picture by its relative path.
        description: see `Dataset`.
    """

    folder: Path
    files: tuple[Path, ...]
    image: ImageInput
    preprocess: Preprocess
    labels: Labels
    description: str
    random: bool = False

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Sample]:
        name = self.image.spec.name
        for file in self.files:
            path = self.folder / file
            with opened(path) as picture:
                frame = to_frame(picture, self.preprocess)
            feed = normalize(frame, self.preprocess, self.image, str(path))
            yield Sample(str(path), {name: feed}, {name: frame}, self.labels(file))

    def fingerprint(self) -> str:
        """SHA-256 of names, files, labels, input and preprocessing."""
        digest = hashlib.sha256(self.preprocess.model_dump_json().encode())
        spec = self.image.spec
        digest.update(f"{spec.name}{spec.dtype}{spec.shape}".encode())
        for file in self.files:
            digest.update(f"{file.as_posix()}\0{sha256_file(self.folder / file)}".encode())
            update_digest(digest, self.labels(file))
        return digest.hexdigest()


def open_images(
    source: DataSource, inputs: Sequence[TensorSpec], *, base: Path, labelled: bool
) -> ImageDataset:
    """Opens `images:` of a data source.

    Raises:
        DataError: the folder, a picture's header, a label or the model's input does not fit.
    """
    assert source.images is not None
    root = base / source.images
    preprocess = source.preprocess or Preprocess()
    image = image_layout(fed_input(source, inputs), preprocess, str(root))
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
        labels = read_labels(beside, available, folder=folder, preprocess=preprocess)
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
    return ImageDataset(folder, files, image, preprocess, labels, description)


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Opens a picture; whatever Pillow finds wrong with it while it is open becomes a `DataError`.

    Raises:
        DataError: the file is empty, damaged, too large or not a picture.
    """
    try:
        with Image.open(path) as picture:
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
        raise DataError(
            f"The file holds {frames} pictures.",
            where=str(path),
            hint="Save each picture to a file of its own.",
        )
    wide = picture.mode in ("I", "F") and picture.format != "PNG"
    if wide or (picture.mode.startswith("I;") and picture.mode not in _SCALED_MODES):
        raise DataError(
            f"Its pixels are of Pillow's mode {picture.mode}, which is not 8 or 16 bits a channel.",
            where=str(path),
            hint="Save it with 8 bits a channel, or give arrays: `arrays: FILE.npy`.",
        )


def fed_input(source: DataSource, inputs: Sequence[TensorSpec]) -> TensorSpec:
    """The model's input that a source of images feeds.

    Raises:
        DataError: the model has no such input, or has more than one.
    """
    names = [spec.name for spec in inputs]
    if source.input is not None and source.input not in names:
        match = nearest(source.input, names)
        raise DataError(
            f"The model has no input '{source.input}'; its inputs are {', '.join(names)}.",
            where="input",
            hint=f"Did you mean '{match}'?" if match else "Use one of these names.",
        )
    if len(inputs) != 1:
        raise DataError(
            f"Images feed one input, and the model has {len(inputs)}: {', '.join(names)}.",
            where=str(source.images),
            hint="Use `arrays` (an .npz with one key an input) or `python: module:function`.",
        )
    return inputs[0]
