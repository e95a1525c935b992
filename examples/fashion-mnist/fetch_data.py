"""Fetches Fashion-MNIST: 60,000 pictures of clothes to train on and 10,000 to judge by.

    python examples/fashion-mnist/fetch_data.py

The data come from Debian's package `dataset-fashion-mnist`: from the installed package where it is
there, else from the package file, which `apt-get download` fetches without root, or, where there is
no apt, from Debian's server. Nothing is installed. Writes `data/train_images.npy` (uint8,
[60000, 1, 28, 28]), `data/train_labels.npy` (int64, [60000]), and the same for `test`.
"""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np

from snapq.errors import InstallError, SnapqError
from snapq.storage import atomic_path, sha256_file

HERE = Path(__file__).resolve().parent
PACKAGE = "dataset-fashion-mnist"
INSTALLED = Path("/usr/share/datasets/fashion-mnist")
FILE = "dataset-fashion-mnist_0.0~git20200523.55506a9-1_all.deb"
SERVER = f"https://deb.debian.org/debian/pool/main/d/{PACKAGE}/{FILE}"
SHA256 = "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0"
SETS = {"train": ("train", 60_000), "test": ("t10k", 10_000)}

Read = Callable[[str], bytes]


def main() -> None:
    """The command line."""
    try:
        write(HERE / "data")
    except SnapqError as error:
        sys.exit(str(error))
    print(f"{HERE / 'data'}: 60,000 pictures to train on, 10,000 to judge by")


def write(folder: Path) -> None:
    """Writes the four arrays into `folder`; those that are there stay.

    Raises:
        InstallError: the package cannot be had, or is not the known one.
    """
    names = [f"{name}_{kind}.npy" for name in SETS for kind in ("images", "labels")]
    if all((folder / name).is_file() for name in names):
        return
    with tempfile.TemporaryDirectory() as scratch:
        read = _source(Path(scratch))
        for name, (stem, count) in SETS.items():
            pixels = _array(read(f"{stem}-images-idx3-ubyte.gz"), 16)
            labels = _array(read(f"{stem}-labels-idx1-ubyte.gz"), 8)
            _save(folder / f"{name}_images.npy", pixels.reshape(count, 1, 28, 28))
            _save(folder / f"{name}_labels.npy", labels.reshape(count).astype(np.int64))


def _source(scratch: Path) -> Read:
    """How a file of the data set is read."""
    if INSTALLED.is_dir():
        return lambda name: (INSTALLED / name).read_bytes()
    package = scratch / FILE
    if shutil.which("apt-get"):
        subprocess.run(["apt-get", "download", PACKAGE], cwd=scratch, capture_output=True)
    if not package.is_file():
        try:
            with urllib.request.urlopen(SERVER, timeout=60) as answer:
                package.write_bytes(answer.read())
        except OSError as error:
            raise InstallError(
                f"Debian's package {PACKAGE} cannot be fetched ({error}).",
                hint=f"Run: apt-get install {PACKAGE}; or try again with a network.",
            ) from error
    if sha256_file(package) != SHA256:
        raise InstallError("The package is not the one that this example knows.", where=FILE)
    files = _members(package)
    return lambda name: files[name]


def _members(package: Path) -> dict[str, bytes]:
    """Files of a .deb by name: an `ar` archive with a tar archive in it."""
    data = package.read_bytes()
    position = 8
    while position < len(data):
        header = data[position : position + 60]
        name, size = header[:16].decode().strip(), int(header[48:58])
        if name.startswith("data.tar"):
            content = data[position + 60 : position + 60 + size]
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                return {
                    Path(member.name).name: opened.read()
                    for member in archive.getmembers()
                    if member.name.endswith("-ubyte.gz") and (opened := archive.extractfile(member))
                }
        position += 60 + size + size % 2
    raise InstallError("The package holds no data.", where=package.name)


def _array(packed: bytes, header: int) -> np.ndarray:
    return np.frombuffer(gzip.decompress(packed), np.uint8, offset=header)


def _save(path: Path, array: np.ndarray) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, array)


if __name__ == "__main__":
    main()
