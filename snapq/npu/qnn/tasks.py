"""What runs inside of workers: sessions opened, described and run.

Kept apart from the callers so that a worker starts fast: nothing here needs onnx or the profiles.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from snapq.npu.qnn.catalogue import explain
from snapq.npu.qnn.sessions import Report, Request, open_session

if TYPE_CHECKING:
    import numpy as np

_DTYPES = {"float": "float32", "double": "float64"}
"""ONNX Runtime's names of types that NumPy calls otherwise."""


@dataclass(frozen=True)
class Input:
    """What a session says of one of its inputs."""

    name: str
    dtype: str
    """As NumPy calls it, `float32`."""
    shape: tuple[int | str | None, ...]


def read_back(request: Request) -> tuple[Report, float]:
    """Opens a session; tells what became of each node, and how many seconds it took."""
    start = time.perf_counter()
    _, report = open_session(request)
    return report, time.perf_counter() - start


def read_back_each(requests: list[Request]) -> list[Report]:
    """Opens sessions one after the other, all of them open until the last is."""
    opened = [open_session(request) for request in requests]
    return [report for _, report in opened]


def boundary(request: Request) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Opens a session and names its inputs and outputs."""
    session, _ = open_session(request)
    inputs = tuple(value.name for value in session.get_inputs())
    return inputs, tuple(value.name for value in session.get_outputs())


def _dtype(kind: str) -> str:
    """`float32` for `tensor(float)`."""
    name = kind.removeprefix("tensor(").removesuffix(")")
    return _DTYPES.get(name, name)


def simulator(request: Request) -> Callable[[dict[str, np.ndarray] | None], Any]:
    """Opens a session and keeps it.

    Returns:
        A handler that gives the outputs for a feed by name, and for None the session's inputs.
    """
    session, _ = open_session(request)
    inputs = tuple(
        Input(value.name, _dtype(value.type), tuple(value.shape)) for value in session.get_inputs()
    )
    names = [value.name for value in session.get_outputs()]

    def handle(feed: dict[str, np.ndarray] | None) -> Any:
        if feed is None:
            return inputs
        try:
            return dict(zip(names, session.run(names, feed), strict=True))
        except Exception as error:
            raise explain(str(error), where=request.shown) from error

    return handle
