"""Kept results that are spoilt on disk: the next run heals them and gives what a fresh one does."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from random import Random

from benchmarks.robustness.case import Case, Outcome
from benchmarks.robustness.kinds import kills
from benchmarks.robustness.mutations import spoil_bytes

_KEPT = "kept"
_JSON = (b"", b"{}", b"[]", b"null", b"7", b"\xff\xfe", b'{"a": 1}', b"[" * 50_000, b"NaN", b'"x"')


def prepare(shared: Path) -> None:
    """Does one run whose cache all cases start from."""
    kills.prepare(shared)
    shutil.copytree(shared / kills.REFERENCE / "runs", shared / _KEPT, symlinks=True)


def draw(random: Random, folder: Path) -> Case:
    """Copies the cache and spoils one to four of its entries."""
    kills.make(folder)
    shutil.copytree(folder.parent / "shared" / _KEPT, folder / "runs", symlinks=True)
    told = [_spoil(folder / "runs", random) for _ in range(random.choice((1, 1, 2, 4)))]

    def run(place: Path) -> list[Outcome]:
        return [kills.run_again(place)]

    return Case("; ".join(told), exits=frozenset({0}), run=run, check=kills.check)


def _spoil(runs: Path, random: Random) -> str:
    entries = sorted(path for path in (runs / ".cache").rglob("*") if not path.is_symlink())
    path = random.choice(entries)
    name = path.relative_to(runs).as_posix()
    short = name if len(name) < 60 else f"{name[:25]}…{name[-30:]}"
    how = random.choice(("bytes", "bytes", "bytes", "json", "gone", "link", "other kind", "mode"))
    if how == "bytes" and path.is_file():
        data, told = spoil_bytes(path.read_bytes(), random)
        path.unlink()  # or its hard links would change too
        path.write_bytes(data)
        return f"{short}: {told}"
    if how == "json" and path.suffix == ".json":
        path.unlink()
        path.write_bytes(random.choice(_JSON))
        return f"{short}: other JSON"
    if how == "mode":
        path.chmod(random.choice((0o000, 0o400, 0o555)))
        return f"{short}: another mode"
    folder = path.is_dir()
    shutil.rmtree(path) if folder else path.unlink()
    if how == "link":
        path.symlink_to(random.choice(("/etc/passwd", path.name, "nowhere", "..")))
    elif how == "other kind" and folder:
        path.write_bytes(b"a file")
    elif how == "other kind":
        random.choice((path.mkdir, lambda: os.mkfifo(path)))()
    return f"{short}: {how}"
