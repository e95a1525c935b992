"""Keeps snapq's files on a board: by content, whole or not at all. Runs on the board.

`~/.snapq/objects/SHA256` holds each file once; `~/.snapq/folders/ID` holds bundles and models as
links to them. What is being sent is `SHA256.part-HOST` until its hash has been checked.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

JOB: bytes = globals().get("JOB", b"")  # given by the host
MARKER = "made-by-snapq"
HEX = set("0123456789abcdef")


class RefusedError(Exception):
    """The request cannot be done; has what, where and hint."""


def main() -> None:
    """Answers the one request."""
    job: dict[str, Any] = json.loads(JOB)
    actions = {"plan": plan, "commit": commit, "install": install, "stop": stop, "clean": clean}
    root = Path(job["root"]).expanduser()
    try:
        answer = actions[job["action"]](root, job)
    except RefusedError as error:
        answer = {"type": "error", **dict(zip(("what", "where", "hint"), error.args))}
    except OSError as error:
        answer = {
            "type": "error",
            "what": f"{os.strerror(error.errno) if error.errno else error}.",
            "where": str(error.filename or root),
            "hint": "Check the free disk space and the permissions on the board.",
        }
    print(json.dumps(answer), flush=True)


def plan(root: Path, job: dict[str, Any]) -> dict[str, Any]:
    """Says which files are missing, how much of each is there, and how much disk is free."""
    objects = _prepare(root)
    missing = []
    for digest, size in job["files"]:
        if _size(_object(objects, digest)) == size:
            continue
        part = _part(objects, digest, job["token"])
        have = _size(part)
        if have is not None and have > size:
            part.unlink()
            have = None
        missing.append([digest, have or 0, str(part)])
    free = shutil.disk_usage(root).free
    return {"type": "plan", "root": str(root), "missing": missing, "free": free}


def commit(root: Path, job: dict[str, Any]) -> dict[str, Any]:
    """Checks what was sent, and makes a folder of links to the files."""
    objects = _prepare(root)
    bad = []
    for digest, size in job["files"]:
        place = _object(objects, digest)
        part = _part(objects, digest, job["token"])
        if _size(part) is None:
            continue
        if _size(part) == size and _digest(part) == digest:
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(place)
        else:
            part.unlink()
            bad.append(digest)
    if bad:
        return {"type": "committed", "folder": None, "bad": bad}
    folder = root / "folders" / _name(job["folder"])
    wanted = {_inside(path): _object(objects, digest) for path, digest in job["links"]}
    if not _is_whole(folder, wanted):
        _link(folder, wanted)
    return {"type": "committed", "folder": str(folder), "bad": []}


def install(root: Path, job: dict[str, Any]) -> dict[str, Any]:
    """Unpacks wheels into an environment of their own, and forgets the wheels."""
    place = root / "environments" / _name(job["environment"])
    if not (place / MARKER).is_file():
        source = root / "folders" / _name(job["folder"])
        place.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=".tmp-", dir=str(place.parent)))
        try:
            for wheel in sorted(source.glob("*.whl")):
                _unpack(wheel, building)
            (building / MARKER).write_text(json.dumps(sorted(w.name for w in source.glob("*.whl"))))
            shutil.rmtree(str(place), ignore_errors=True)
            building.replace(place)
        finally:
            shutil.rmtree(str(building), ignore_errors=True)
    shutil.rmtree(str(root / "folders" / _name(job["folder"])), ignore_errors=True)
    for digest in job["digests"]:
        with contextlib.suppress(OSError):
            _object(root / "objects", digest).unlink()
    return {"type": "installed", "environment": str(place)}


def stop(_root: Path, job: dict[str, Any]) -> dict[str, Any]:
    """Ends an agent that no longer answers, and its children."""
    pid = int(job["pid"])
    if _started(pid) != job["started"]:
        return {"type": "stopped", "was_running": False}
    os.killpg(os.getpgid(pid), signal.SIGKILL)
    return {"type": "stopped", "was_running": True}


def clean(root: Path, _job: dict[str, Any]) -> dict[str, Any]:
    """Removes everything that snapq ever put on the board."""
    if not root.exists():
        return {"type": "cleaned", "root": str(root), "bytes": 0}
    if root.is_symlink() or not (root / MARKER).is_file():
        raise RefusedError("This folder was not made by snapq.", str(root), "Remove it by hand.")
    seen, total = set(), 0
    for path in root.rglob("*"):
        found = path.lstat()
        if found.st_ino not in seen:
            seen.add(found.st_ino)
            total += found.st_size
    shutil.rmtree(str(root))
    return {"type": "cleaned", "root": str(root), "bytes": total}


def _prepare(root: Path) -> Path:
    objects = root / "objects"
    if not root.exists():
        root.mkdir(parents=True, mode=0o700)
        (root / MARKER).write_text("Everything in here was put here by snapq.\n")
    objects.mkdir(exist_ok=True)
    (root / "folders").mkdir(exist_ok=True)
    return objects


def _link(folder: Path, wanted: dict[str, Path]) -> None:
    building = Path(tempfile.mkdtemp(prefix=".tmp-", dir=str(folder.parent)))
    try:
        for path, source in wanted.items():
            place = building / path
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(str(source), str(place))
            except OSError:  # a file system without links
                shutil.copyfile(str(source), str(place))
        shutil.rmtree(str(folder), ignore_errors=True)
        building.replace(folder)
    finally:
        shutil.rmtree(str(building), ignore_errors=True)


def _is_whole(folder: Path, wanted: dict[str, Path]) -> bool:
    """Whether the folder has each file; what is in the files is the agent's to check."""
    if not folder.is_dir():
        return False
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    return found == set(wanted) and all(
        _size(folder / path) == _size(source) for path, source in wanted.items()
    )


def _unpack(wheel: Path, place: Path) -> None:
    """Unpacks a wheel without the parts that are installed elsewhere (scripts, headers)."""
    with zipfile.ZipFile(str(wheel)) as archive:
        for entry in archive.infolist():
            parts = PurePosixPath(entry.filename).parts
            if parts and parts[0].endswith(".data"):
                if len(parts) < 3 or parts[1] not in ("purelib", "platlib"):
                    continue
                parts = parts[2:]
            if entry.is_dir() or not parts:
                continue
            target = place / _inside("/".join(parts))
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)


def _inside(path: str) -> str:
    """Accepts a relative path that stays inside its folder."""
    plain = PurePosixPath(path)
    if plain.is_absolute() or ".." in plain.parts or str(plain) != path or "\0" in path:
        raise RefusedError("A path leads out of its folder.", path, "Do not use this bundle.")
    return path


def _name(text: str) -> str:
    if not text or set(text) - HEX:
        raise RefusedError("This is not a name of snapq's.", text, "Use the snapq that pushed it.")
    return text


def _object(objects: Path, digest: str) -> Path:
    return objects / _name(digest)


def _part(objects: Path, digest: str, token: str) -> Path:
    return objects / f"{_name(digest)}.part-{_name(token)}"


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _started(pid: int) -> str | None:
    """Start time of a process in the kernel's ticks, by which it is told from a later one."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()[19]


if __name__ == "__main__":
    main()
