"""The one place that writes files, atomically.

A file is written under a temporary name beside its place, flushed to disk (but not in the system's
temporary folder) and renamed; a folder is built beside its place and renamed. A process that is
killed leaves the old file, the new one, or a temporary name (`.tmp-*`) that the next run removes,
and never half a file.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from snapq.errors import StorageError

_CHUNK = 1 << 20
_LEFTOVER_AGE_S = 24 * 3600
TEMPORARY = ".tmp-"
_HINTS = {
    errno.ENOSPC: "Free some disk space, or choose another folder.",
    errno.EDQUOT: "Free some of the disk quota, or choose another folder.",
    errno.EROFS: "The file system is read-only; choose another folder.",
    errno.EACCES: "Change its permissions, or choose another folder.",
    errno.EPERM: "Change its permissions, or choose another folder.",
    errno.ENOENT: "Check the path.",
    errno.ENOTDIR: "Check the path.",
    errno.EISDIR: "Name a file in it.",
    errno.EMFILE: "Allow more open files: ulimit -n 4096",
}


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turns an `OSError` of file work on `path` into a `StorageError` with a hint."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, str(path)) from error


def storage_error(error: OSError, where: str | None = None) -> StorageError:
    """The error of ours for one of the system's; `where` unless that names a file itself."""
    what = os.strerror(error.errno) if error.errno else str(error)
    named = str(error.filename) if error.filename else where
    return StorageError(f"{what}.", where=named, hint=_HINTS.get(error.errno or 0))


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; on success it becomes `path`, on any error it goes.

    Raises:
        StorageError: the file cannot be written, or a device stands there.
    """
    with storage_errors(path):
        require_replaceable(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=TEMPORARY, suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            if not _is_passing(path):
                with temporary.open("rb") as file:
                    os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def require_replaceable(path: Path) -> None:
    """Raises `StorageError` where a new file would take the place of a device, as `/dev/null`."""
    try:
        mode = path.stat().st_mode
    except OSError:  # nothing is there, or what cannot be looked at
        return
    stream = path.is_symlink() and path.readlink().is_relative_to("/proc")  # /dev/stdout
    if stream or stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise StorageError(
            "This is a device, and results are written as whole files.",
            where=str(path),
            hint="Name a file.",
        )


def _is_passing(path: Path) -> bool:
    """Whether a file is in the system's temporary folder, which need not outlive a power cut."""
    try:
        return path.absolute().is_relative_to(tempfile.gettempdir())
    except FileNotFoundError:  # there is no such folder that can be written
        return False


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder beside `path`; on success it replaces `path`, on any error it goes.

    Raises:
        StorageError: the folder cannot be written, or a device stands there.
    """
    with storage_errors(path):
        require_replaceable(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=path.parent))
        try:
            yield temporary
            temporary.chmod(0o755)
            remove(path)
            temporary.replace(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def remove(path: Path) -> None:
    """Removes a file, a link or a folder with all that is in it, where there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file atomically. Raises `StorageError`."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_pieces(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """Writes a file of several pieces atomically. Raises `StorageError`."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.writelines(pieces)


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 file atomically. Raises `StorageError`."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as indented JSON, a list with one entry a line. Raises `StorageError`."""
    if isinstance(value, list) and value:
        # Indented, the numbers of a long list would each have a line, and take ten times as long.
        lines = ",\n ".join(json.dumps(entry, ensure_ascii=False) for entry in value)
        write_text(path, f"[\n {lines}\n]\n")
    else:
        write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def fingerprint(value: object) -> str:
    """SHA-256 over the canonical JSON of `value`, in hexadecimal."""
    text = json.dumps(value, sort_keys=True, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def parse_yaml(text: str | bytes) -> Any:
    """The plain values that YAML holds; by libyaml, ten times as fast, where PyYAML has it.

    Raises:
        yaml.YAMLError: it is not YAML.
    """
    import yaml

    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal. Raises `StorageError`."""
    digest = hashlib.sha256()
    with storage_errors(path), path.open("rb") as file:
        while block := file.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()


def compressed_size(path: Path) -> int:
    """Bytes of the file after zlib level 6: what a download costs. Raises `StorageError`."""
    packer = zlib.compressobj(6)
    size = 0
    with storage_errors(path), path.open("rb") as file:
        while block := file.read(_CHUNK):
            size += len(packer.compress(block))
    return size + len(packer.flush())


def remove_leftovers(folder: Path) -> None:
    """Removes temporary names in `folder` that are a day old: what killed processes left."""
    if not folder.is_dir():
        return
    for entry in folder.glob(f"{TEMPORARY}*"):
        with suppress(OSError):
            if time.time() - entry.stat().st_mtime < _LEFTOVER_AGE_S:
                continue
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
