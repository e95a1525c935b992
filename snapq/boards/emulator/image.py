"""The image of the emulated board: built once, kept under the user's cache, named by its recipe."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from snapq.boards.emulator import initramfs, packages, root_filesystem, tools, wheels
from snapq.boards.emulator.recipe import Recipe
from snapq.home import cache_path
from snapq.progress import Progress
from snapq.storage import atomic_folder, remove_leftovers, storage_errors, write_json

_CONTENTS = "image.json"
_KEPT_S = 30 * 24 * 3600


@dataclass(frozen=True)
class Image:
    """What QEMU starts a board from; never written to."""

    key: str
    folder: Path

    @property
    def kernel(self) -> Path:
        """Linux."""
        return self.folder / "vmlinuz"

    @property
    def initramfs(self) -> Path:
        """Drivers, and the program that mounts the root file system."""
        return self.folder / "initramfs.gz"

    @property
    def disk(self) -> Path:
        """The root file system, ext4."""
        return self.folder / "root.ext4"

    def contents(self) -> dict[str, object]:
        """The recipe, and the name of every package and wheel inside. Raises `StorageError`."""
        path = self.folder / _CONTENTS
        with storage_errors(path):
            found: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
        return found


def cache_folder() -> Path:
    """Where images and boards are kept: `$SNAPQ_CACHE`, else the user's cache directory.

    Raises:
        StorageError: there is no home folder.
    """
    return cache_path() / "emulator"


def cached(recipe: Recipe) -> Image | None:
    """The image of this recipe where it has been built."""
    image = Image(recipe.key, cache_folder() / "images" / recipe.key)
    return image if (image.folder / _CONTENTS).is_file() else None


def build(recipe: Recipe, progress: Progress, *, fresh: bool = False) -> Image:
    """The image of this recipe; builds it where it is not in the cache.

    Args:
        recipe: what the image is made of.
        progress: progress reporter.
        fresh: build it again, with the packages that Debian has now.

    Raises:
        InstallError: a program is missing, or Debian or PyPI cannot be reached.
        StorageError: the disk is full, or the cache cannot be written.
    """
    place = cache_folder() / "images" / recipe.key
    with storage_errors(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        # Of two that want the same image, one builds it and the other waits.
        with FileLock(f"{place}.lock"):
            found = cached(recipe)
            if found is not None and not fresh:
                os.utime(found.folder)
                return found
            tools.require(tools.BUILDS)
            remove_leftovers(place.parent)
            with atomic_folder(place) as folder:
                _build(recipe, folder, progress)
            _forget_unused(place.parent)
    return Image(recipe.key, place)


def _forget_unused(images: Path) -> None:
    """Removes images that no board was started from for a month; a board that runs keeps its own.

    An image has 0.5 GB, and each new version of a library makes another one.
    """
    oldest = time.time() - _KEPT_S
    for folder in images.iterdir():
        if folder.is_dir() and folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)


def _build(recipe: Recipe, folder: Path, progress: Progress) -> None:
    work = folder / "work"
    root = work / "root"
    root.mkdir(parents=True)
    with progress.track("Fetching Debian's packages", None):
        apt = packages.Apt(work / "apt", recipe.release)
        apt.update()
        system = apt.fetch(recipe.packages)
        kernel = apt.fetch_kernel(recipe.kernel, work / "kernel")
    with progress.track("Unpacking Debian", len(system) + 1) as advance:
        for package in system:
            packages.extract(package, root)
            advance(1)
        packages.extract(kernel, work / "linux")
        advance(1)
    fetched = []
    if recipe.wheels:
        with progress.track("Fetching the Python environment", None):
            fetched = wheels.fetch(recipe.wheels, work / "wheels")
        with progress.track("Unpacking it", len(fetched)) as advance:
            for wheel in fetched:
                wheels.unpack(wheel, root / root_filesystem.DIST_PACKAGES)
                advance(1)
    with progress.track("Writing the board's file system", None):
        image = Image(recipe.key, folder)
        root_filesystem.arrange(root)
        root_filesystem.compile_python(root)
        busybox = (root / "bin/busybox").read_bytes()
        image.initramfs.write_bytes(initramfs.boot_archive(work / "linux", busybox, recipe.modules))
        next((work / "linux/boot").glob("vmlinuz-*")).replace(image.kernel)
        root_filesystem.write_image(root, image.disk, recipe.disk_mb)
    names = sorted(path.name for path in (*system, kernel, *fetched))
    shutil.rmtree(work)
    write_json(folder / _CONTENTS, {"recipe": asdict(recipe), "contents": names})
    progress.say(f"Built the emulated board: {recipe.key}, {len(names)} packages.")
