"""Masks: a picture or array of class numbers for each picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import ImageOps

from snapq.config import Preprocess, Resample
from snapq.errors import DataError, SnapqError
from snapq.evaluation.labels.arrays import load_npy
from snapq.evaluation.pictures import open_picture
from snapq.evaluation.preprocess import geometry
from snapq.evaluation.samples import Array

_MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".gif", ".npy")
_MASK_MODES = ("1", "L", "P", "I;16", "I;16B", "I;16L", "I")
_IGNORED = 255
"""Class of the pixels around a letterboxed picture, which do not count."""


def read_masks(
    folder: Path, files: Sequence[Path], preprocess: Preprocess
) -> Callable[[Path], Array]:
    """The mask of each picture. Raises `DataError` where one has none, or several."""
    masks: dict[Path, Path] = {}
    for file in files:
        choices = [file.with_suffix(suffix) for suffix in _MASK_SUFFIXES]
        found = [choice for choice in choices if (folder / choice).is_file()]
        if len(found) != 1:
            raise DataError(
                f"{file} has {'no mask' if not found else f'{len(found)} masks'} in it.",
                where=str(folder),
                hint=f"Put one mask for it there, such as {file.with_suffix('.png')}.",
            )
        masks[file] = folder / found[0]
    return lambda file: _mask(masks[file], preprocess)


def _mask(path: Path, preprocess: Preprocess) -> Array:
    """Class of each pixel, [height, width], with the geometry of its picture."""
    if path.suffix == ".npy":
        return np.array(load_npy(path))
    try:
        with open_picture(path) as opened:
            picture = ImageOps.exif_transpose(opened)
    except SnapqError:
        raise
    except Exception as error:  # Pillow's decoders raise errors of many kinds for damaged files
        raise DataError(
            f"The mask cannot be read: {str(error).rstrip('.')}.",
            where=str(path),
            hint="Replace it.",
        ) from error
    if picture.mode not in _MASK_MODES:
        raise DataError(
            f"The mask is of Pillow's mode {picture.mode}, and a mask has one class number a "
            "pixel.",
            where=str(path),
            hint="Save it as a grey or palette PNG whose pixel values are class numbers.",
        )
    return np.array(geometry(picture, preprocess, Resample.NEAREST, _IGNORED), dtype=np.int64)
