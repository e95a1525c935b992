"""A classical model as an application uses it: rows in, answers out, the CPU's parts included."""

from __future__ import annotations

import gc
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .machine import run_clock
from .wire import FailedError

__all__ = ["RowsModel"]

Arrays = Mapping[str, Any]
_FAILURES = (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError)
"""What a step raises where a program, or what it is given, is not what it should be."""
_OUT = "out."
_IN = "in."


class RowsModel:
    """Answers rows.

    Attributes:
        package: the helper's view of a bundle, whose `encode` and `decode` stand around the part
            for the NPU; None of a model that takes rows itself.

    Args:
        run: runs the session: arrays by input, to arrays by output.
        package: see above.
    """

    def __init__(self, run: Callable[[dict[str, Any]], dict[str, Any]], package: Any) -> None:
        self.package = package
        self._run = run

    def answer(self, rows: Arrays) -> dict[str, Any]:
        """The model's outputs for one batch of rows.

        Raises:
            FailedError: head or tail cannot be computed.
        """
        if self.package is None:
            return self._run(dict(rows))
        outputs = self._run(self._host("head", lambda: self._encode(rows)))
        return dict(self._host("tail", lambda: self._decode(outputs, rows)))

    def compare(self, path: Path, answers: Any) -> None:
        """Answers the rows of a golden sample, and counts what is as ONNX Runtime answered them.

        Args:
            path: an `.npz` with the rows (`in.NAME`) and the answers (`out.NAME`).
            answers: counts them, `Answers` of `snapq_program`.

        Raises:
            FailedError: head or tail cannot be computed, or give something else than answers.
        """
        import numpy as np

        with np.load(str(path), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        rows = {name[len(_IN) :]: value for name, value in arrays.items() if name[:3] == _IN}
        given = {name[len(_OUT) :]: value for name, value in arrays.items() if name[:4] == _OUT}
        found = self.answer(rows)
        for name, value in given.items():
            if name not in found or np.size(found[name]) != value.size:
                raise FailedError(f"The answer {name} to the golden rows has another shape.")
        self._host("tail", lambda: answers.update(given, found, len(next(iter(rows.values())))))

    def turn(self, rows: Arrays, runs: int, settle: int) -> dict[str, list[float]]:
        """Answers rows `settle` times untimed, then `runs` times.

        Returns:
            `ms`: the time of each run; `encode_ms`, `decode_ms`: what head and tail took of it.
        """
        clock = run_clock()
        for _ in range(settle):
            self.answer(rows)
        times: dict[str, list[float]] = {"ms": [], "encode_ms": [], "decode_ms": []}
        gc.disable()
        for _ in range(runs):
            started = clock()
            feeds = self._encode(rows)
            encoded = clock()
            outputs = self._run(feeds)
            called = clock()
            self._decode(outputs, rows)
            ended = clock()
            times["ms"].append((ended - started) / 1e6)
            times["encode_ms"].append((encoded - started) / 1e6)
            times["decode_ms"].append((ended - called) / 1e6)
        gc.enable()
        return times

    def _encode(self, rows: Arrays) -> dict[str, Any]:
        return dict(self.package.feeds(self.package.encode(dict(rows))))

    def _decode(self, outputs: Arrays, rows: Arrays) -> dict[str, Any]:
        return dict(self.package.decode(self.package.read(dict(outputs)), dict(rows)))

    @staticmethod
    def _host(part: str, work: Callable[[], Any]) -> Any:
        """Says which part cannot be computed, and with what, where one cannot."""
        import numpy as np

        try:
            return work()
        except _FAILURES as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())[:500]
            raise FailedError(
                f"The {part} of the model cannot be computed (Python "
                f"{platform.python_version()}, NumPy {np.__version__}): {text}"
            ) from error
