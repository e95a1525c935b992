"""Opens pictures, but none that would fill the memory when it is decoded."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from snapq.errors import DataError

MAX_PIXELS = 89_478_485
"""Of one picture, decoded or resized: Pillow's own limit for what may be meant to fill memory."""


@contextmanager
def open_picture(path: Path) -> Iterator[Image.Image]:
    """Opens a picture and reads its header.

    Raises:
        DataError: it has more than `MAX_PIXELS`.
        OSError: it cannot be read, or is no picture; damaged ones make Pillow raise other errors.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            opened = Image.open(path)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise DataError(
                f"The picture has more than {MAX_PIXELS / 1e6:.0f} million pixels, which would "
                "take too much memory.",
                where=str(path),
                hint="Make it smaller; a model sees some thousand pixels of it.",
            ) from None
    with opened as picture:
        yield picture
