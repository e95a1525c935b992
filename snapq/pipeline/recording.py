"""What every kind of run writes down alike: its log, files with their hashes, figures by kind."""

from __future__ import annotations

import logging
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from snapq.progress import Advance, Progress
from snapq.records import Figures, FileRecord
from snapq.storage import compressed_size, sha256_file, write_text

__all__ = ["Logged", "cpu_name", "file_record", "log_to", "write_measurements"]

LOG = logging.getLogger("snapq")


def file_record(path: Path, folder: Path) -> FileRecord:
    """Hash and sizes of one file of the run directory."""
    return FileRecord(
        path=path.relative_to(folder).as_posix(),
        sha256=sha256_file(path),
        bytes=path.stat().st_size,
        bytes_compressed=compressed_size(path),
    )


def cpu_name() -> str:
    """Name of the host's processor, as the system gives it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def write_measurements(figures: Figures, folder: Path) -> None:
    """Writes each kind of figure into a file of its own, for tools that want only that."""
    for kind, values in figures:
        if values:
            items = ",\n".join(value.model_dump_json(indent=1) for value in values)
            write_text(folder / "measurements" / f"{kind}.json", f"[{items}]\n")


class Logged:
    """A progress that also writes what it is told into the run's log."""

    def __init__(self, inner: Progress) -> None:
        self._inner = inner

    def say(self, text: str) -> None:
        """Reports one line of text."""
        LOG.info(text)
        self._inner.say(text)

    @contextmanager
    def track(self, title: str, total: int | None = None) -> Iterator[Advance]:
        """Opens a bar, as `Progress` does."""
        LOG.info("%s (%s)", title, "…" if total is None else total)
        with self._inner.track(title, total) as advance:
            yield advance


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Sends snapq's log into `path` while the block runs."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    LOG.addHandler(handler)
    level = LOG.level
    LOG.setLevel(logging.DEBUG)
    LOG.propagate = False
    try:
        yield
    finally:
        LOG.setLevel(level)
        LOG.removeHandler(handler)
        handler.close()
