"""A child: holds one model, and answers the parent's requests."""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from .machine import run_clock
from .rows import RowsModel
from .session import drop_from_cache, memory, open_session, placement_of, timed, versions
from .wire import FailedError, answer_elsewhere, tell

__all__ = ["Model", "child"]


class Model:
    """The requests that the parent can make of a child, one method each."""

    def load(self, values: dict[str, Any]) -> dict[str, Any]:
        """Opens the model twice, cold and warm; runs it once; compares with the golden data."""
        fallback, candidate, protocol = values["fallback"], values["candidate"], values["protocol"]
        self._folder = Path(candidate["folder"])
        model = self._folder / fallback["model"]
        if values.get("verbose"):
            import onnxruntime as ort

            ort.set_default_logger_severity(0)  # the libraries print all that they know
        before = memory("VmRSS")
        drop_from_cache(self._folder, candidate["files"])
        cold_ms, session = timed(lambda: open_session(model, fallback, protocol))
        del session
        gc.collect()
        warm_ms, self._session = timed(lambda: open_session(model, fallback, protocol))
        self._names = [output.name for output in self._session.get_outputs()]
        placement = placement_of(self._session, fallback["npu"])
        if fallback["npu"] and placement["cpu"]:
            raise FailedError("{} nodes would run on the CPU.".format(placement["cpu"]))
        self._rows = self._rows_model(candidate.get("rows"))
        return {
            "create_cold_ms": cold_ms,
            "create_warm_ms": warm_ms,
            "first_ms": self._first_ms(candidate["feeds"]),
            "rss_before": before,
            "rss_loaded": memory("VmRSS"),
            "placement": placement,
            "options": {k: str(v) for k, v in fallback["options"].items()},
            "golden": [self._compare(sample) for sample in candidate["golden"]],
            "answers": self._answers(candidate.get("rows")),
            "runtime": versions(fallback["npu"]),
        }

    def turn(self, values: dict[str, Any]) -> dict[str, Any]:
        """Runs `settle` times untimed, then `runs` times; gives the times in ms."""
        if self._rows is not None and self._rows.package is not None:
            return self._rows.turn(self._feeds, values["runs"], values["settle"])
        session, names, feeds = self._session, self._names, self._feeds
        clock = run_clock()
        for _ in range(values["settle"]):
            session.run(names, feeds)
        times = []
        gc.disable()
        for _ in range(values["runs"]):
            started = clock()
            session.run(names, feeds)
            times.append(clock() - started)
        gc.enable()
        return {"ms": [nanoseconds / 1e6 for nanoseconds in times]}

    def usage(self, _values: dict[str, Any]) -> dict[str, Any]:
        """The most memory that this process ever held, and its processor time."""
        return {"rss_peak": memory("VmHWM"), "processor_s": time.process_time()}

    def _first_ms(self, feeds: str | None) -> float:
        """Reads the input to time with, and runs it once."""
        if not feeds:
            return 0.0
        import numpy as np

        with np.load(str(self._folder / feeds), allow_pickle=False) as file:
            self._feeds = {name: np.asarray(file[name], order="C") for name in file.files}
        rows = self._rows
        if rows is not None:
            return timed(lambda: rows.answer(self._feeds))[0]
        return timed(lambda: self._session.run(self._names, self._feeds))[0]

    def _rows_model(self, rows: dict[str, Any] | None) -> RowsModel | None:
        """What turns rows into answers, of a classical model."""
        if rows is None:
            return None
        package = None
        if rows["host"]:  # these modules came with the agent
            importlib.import_module("snapq_program")  # which the helper then finds
            package = importlib.import_module("snapq_io").load(self._folder)
        return RowsModel(self._run, package)

    def _run(self, feeds: dict[str, Any]) -> dict[str, Any]:
        return dict(zip(self._names, self._session.run(self._names, feeds)))

    def _answers(self, rows: dict[str, Any] | None) -> dict[str, Any]:
        """How the answers to the golden rows compare with ONNX Runtime's, output by output."""
        if rows is None or self._rows is None:
            return {}
        answers = importlib.import_module("snapq_program").Answers()
        for path in rows["files"]:
            self._rows.compare(self._folder / path, answers)
        return dict(answers.plain())

    def _compare(self, sample: dict[str, str]) -> dict[str, Any]:
        """Largest difference from the golden outputs, output by output."""
        import numpy as np

        with np.load(str(self._folder / sample["inputs"]), allow_pickle=False) as file:
            found = self._run({name: file[name] for name in file.files})
        result = {}
        with np.load(str(self._folder / sample["outputs"]), allow_pickle=False) as file:
            for name in file.files:
                expected, given = file[name], found[name]
                if expected.shape != given.shape or expected.dtype != given.dtype:
                    raise FailedError(f"Output {name} has another shape or type.")
                gap = np.abs(expected.astype(np.float64) - given.astype(np.float64))
                largest = float(np.nanmax(gap)) if gap.size else 0.0
                span = float(np.nanmax(np.abs(expected.astype(np.float64)))) if gap.size else 0.0
                result[name] = {
                    "exact": bool(np.array_equal(expected, given)),
                    "largest": largest,
                    "span": span,
                    "integer": expected.dtype.kind in "iu",
                }
        return result


def child() -> None:
    """Answers requests until the parent is gone."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    environment = json.loads(sys.stdin.buffer.readline())
    sys.path[:0] = environment["paths"]
    answer_elsewhere()
    requests: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_listen_to_parent, args=(requests,), daemon=True).start()
    model = Model()
    while True:
        values = json.loads(requests.get())
        try:
            tell("answer", **getattr(model, values.pop("request"))(values))
        except FailedError as error:
            tell("failed", reason=error.args[0])
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            tell("failed", reason=" ".join(text.split())[:2000])


def _listen_to_parent(requests: Any) -> None:
    for line in iter(sys.stdin.buffer.readline, b""):
        requests.put(line)
    os._exit(1)
