"""Fetches the example's pictures out of two PyPI packages.

    python examples/efficientnet-lite0/fetch_data.py

`data/validation/` and `data/validation.csv`: the 20 labelled ImageNet pictures of `foolbox`.
`data/calibration/`: 64 square crops of 8 photographs of `scikit-image`. They are eight crops each
of eight pictures, not 64 pictures, and none of them is evaluated.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import wheels
from PIL import Image

from snapq.errors import SnapqError
from snapq.storage import atomic_folder, write_text

HERE = Path(__file__).resolve().parent
LABELLED = re.compile(r"foolbox/data/(imagenet_\d+_(\d+)\.jpg)")
PHOTOGRAPHS = (
    "astronaut.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "motorcycle_left.png",
    "rocket.jpg",
)
CROPS = (
    # (side as a share of the shorter side, x and y of the crop as shares of the free space)
    (1.0, 0.0, 0.0),
    (1.0, 0.5, 0.5),
    (1.0, 1.0, 1.0),
    (0.7, 0.0, 0.0),
    (0.7, 1.0, 0.0),
    (0.7, 0.5, 0.5),
    (0.7, 0.0, 1.0),
    (0.7, 1.0, 1.0),
)
CROP_SIZE = 256


def labelled(wheel: Path) -> Iterator[tuple[str, int, bytes]]:
    """Name, ImageNet class and bytes of each labelled picture in foolbox's wheel."""
    with zipfile.ZipFile(wheel) as archive:
        for member in sorted(archive.namelist()):
            if match := LABELLED.fullmatch(member):
                yield match[1], int(match[2]), archive.read(member)


def crops(picture: Image.Image) -> Iterator[Image.Image]:
    """Square crops of a picture, `CROP_SIZE` on a side, in the order of `CROPS`."""
    width, height = picture.size
    for share, x, y in CROPS:
        side = round(min(width, height) * share)
        left, top = round((width - side) * x), round((height - side) * y)
        square = picture.crop((left, top, left + side, top + side))
        yield square.resize((CROP_SIZE, CROP_SIZE), Image.Resampling.BICUBIC)


def write_validation(folder: Path, downloads: Path) -> int:
    """Writes `validation/` and `validation.csv` under `folder`; returns the number of pictures."""
    rows = ["file,label"]
    with atomic_folder(folder / "validation") as pictures:
        for name, label, content in labelled(wheels.fetch(wheels.FOOLBOX, downloads)):
            (pictures / name).write_bytes(content)
            rows.append(f"{name},{label}")
    write_text(folder / "validation.csv", "\n".join(rows) + "\n")
    return len(rows) - 1


def write_calibration(folder: Path, downloads: Path) -> int:
    """Writes `calibration/` under `folder`; returns the number of crops."""
    wheel = wheels.fetch(wheels.SCIKIT_IMAGE, downloads)
    count = 0
    with atomic_folder(folder / "calibration") as pictures:
        for photograph in PHOTOGRAPHS:
            content = wheels.read(wheel, f"skimage/data/{photograph}")
            with Image.open(io.BytesIO(content)) as picture:
                for number, crop in enumerate(crops(picture.convert("RGB"))):
                    crop.save(pictures / f"{Path(photograph).stem}_crop{number}.png")
                    count += 1
    return count


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "data", help="folder to fill")
    parser.add_argument(
        "--downloads", type=Path, default=HERE / "data" / "wheels", help="where wheels are kept"
    )
    options = parser.parse_args()
    try:
        count = write_validation(options.out, options.downloads)
        print(f"{options.out / 'validation'}: {count} labelled pictures (foolbox)")
        count = write_calibration(options.out, options.downloads)
        print(
            f"{options.out / 'calibration'}: {count} crops of {len(PHOTOGRAPHS)} photographs "
            "(scikit-image)"
        )
    except SnapqError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
