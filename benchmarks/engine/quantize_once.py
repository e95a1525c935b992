"""One job of the engine in a process of its own, with whichever build PYTHONPATH names.

python quantize_once.py MODEL SAMPLES.npz best|balanced|fast|analyze OUTPUT
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import snapq

DEVICE = "qcs9075"


class Samples:
    """The samples of a file, read one by one and again and again."""

    def __init__(self, path: str) -> None:
        with np.load(path) as held:
            self._arrays = {name: held[name] for name in held.files}

    def __len__(self) -> int:
        return len(next(iter(self._arrays.values())))

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        for index in range(len(self)):
            yield {name: array[index] for name, array in self._arrays.items()}


def accepted(function: Callable[..., Any], **given: Any) -> dict[str, Any]:
    """Those of the arguments that a function has in this build."""
    known = inspect.signature(function).parameters
    return {name: value for name, value in given.items() if name in known}


def main() -> None:
    """Does the job."""
    model, samples, job, output = sys.argv[1:]
    data = list(Samples(samples))
    if job == "analyze":
        found = snapq.analyze(model, DEVICE, data, samples=8)
        worst = sorted(found.items, key=lambda one: one.sqnr_db)
        with Path(output).open("w") as file:
            file.writelines(f"{one.name} {one.sqnr_db!r}\n" for one in worst)
        return
    chosen = accepted(snapq.quantize, devices=[DEVICE])
    chosen = chosen or accepted(snapq.quantize, targets=[DEVICE])
    snapq.quantize(model, data, preset=job, output=output, **chosen)


if __name__ == "__main__":
    main()
