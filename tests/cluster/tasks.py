"""Functions that tests send to workers, which find them by this module's name."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from snapq.cluster import memory
from snapq.cluster.bench import Bench
from snapq.cluster.store import File
from snapq.errors import ModelError, UnansweredError
from snapq.stages.artifact import computing
from snapq.workers.pool import Wording, Worker

WORDING = Wording("The test", UnansweredError, "None.", "None.", lambda text, _: ModelError(text))


def joined(bench: Bench, files: tuple[File, ...]) -> bytes:
    """The files behind each other."""
    return b"".join(map(bench.read, files))


def left(bench: Bench, text: str) -> str:
    """Leaves a file for the client."""
    path = bench.folder() / "note.txt"
    path.write_text(text)
    bench.keep("notes/note.txt", path)
    return str(path)


def refused(_bench: Bench) -> None:
    """Fails as a model would."""
    raise ModelError("It has no output.", where="cnn.onnx", hint="Export it again.")


def seen(_bench: Bench, name: str) -> str | None:
    """A variable of the worker's environment."""
    return os.environ.get(name)


def dies_once(_bench: Bench, mark: Path) -> int:
    """Ends its worker the first time."""
    if not mark.exists():
        mark.touch()
        os._exit(9)
    return os.getpid()


def waits_once(_bench: Bench, mark: Path) -> str:
    """Takes a second the first time, and says so the second time."""
    if mark.exists():
        return "again"
    mark.touch()
    time.sleep(1)
    return "first"


def keys(dask_scheduler: Any) -> list[str]:
    """What the scheduler has of ours."""
    return [key for key in dask_scheduler.tasks if str(key).startswith("snapq-")]


def sleeps(bench: Bench, mark: Path) -> None:
    """Starts a process that writes its number and sleeps for a minute."""
    bench.owns(Worker(WORDING)).call(_sleep, mark)


def _sleep(mark: Path) -> None:
    mark.write_text(str(os.getpid()))
    time.sleep(60)


def grows(bench: Bench, most: int) -> None:
    """Takes ever more memory in a process of its own, on a worker that has `most` bytes."""
    usual = memory.most()
    memory.bound(most)
    try:
        bench.owns(Worker(WORDING)).call(_grow)
    finally:
        time.sleep(0.1)
        memory.bound(usual)


def _grow() -> None:
    held = []
    for _ in range(30):  # 2 GB, where nobody ends it
        held.append(b"x" * (1 << 26))
        time.sleep(0.05)


class Said:
    """Says one thing here, and on the workers what holds there."""

    def __init__(self, here: dict[str, str]) -> None:
        self._here = here

    def __call__(self) -> dict[str, str]:
        return self._here

    def __reduce__(self) -> tuple[object, ...]:
        return (_truth, ())


def _truth() -> Callable[[], dict[str, str]]:
    return computing
