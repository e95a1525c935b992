"""A list of steps that runs on the host: in snapq, in an application and on a board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import steps as _steps  # noqa: F401  # fills the table of operations
from .registry import compute
from .step import Array, Step


@dataclass(frozen=True)
class Program:
    """Steps in the order in which they run.

    Attributes:
        inputs: names of the values that it is given.
        outputs: names of the values that it gives back.
        steps: what is computed, each from values that are there already.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    steps: tuple[Step, ...]

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Computes the outputs.

        Args:
            feeds: an array for each input; others are left alone.

        Returns:
            An array for each output.

        Raises:
            KeyError: an input is missing.
            ValueError: a step is not known to this version.
        """
        values: dict[str, Array] = {name: feeds[name] for name in self.inputs}
        with np.errstate(all="ignore"):  # infinities and NaN are values like others
            for step in self.steps:
                made = compute(step, [values[name] if name else None for name in step.inputs])
                values.update(zip(step.outputs, made))
        return {name: values[name] for name in self.outputs}

    def to_json(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Writes the program as data.

        Returns:
            What JSON can hold, and the arrays by the names that it mentions (for an `.npz`).
        """
        arrays: dict[str, Array] = {}
        written = []
        for number, step in enumerate(self.steps):
            kept = {name: f"{number}.{name}" for name in step.arrays}
            arrays.update({kept[name]: array for name, array in step.arrays.items()})
            written.append(
                {
                    "op": step.op,
                    "inputs": list(step.inputs),
                    "outputs": list(step.outputs),
                    "attributes": step.attributes,
                    "arrays": kept,
                }
            )
        return {
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "steps": written,
        }, arrays

    @classmethod
    def from_json(cls, written: Mapping[str, Any], arrays: Mapping[str, Array]) -> Program:
        """Reads what `to_json` wrote.

        Raises:
            KeyError: a key or an array is missing.
        """
        steps = tuple(
            Step(
                step["op"],
                tuple(step["inputs"]),
                tuple(step["outputs"]),
                dict(step["attributes"]),
                {name: arrays[kept] for name, kept in step["arrays"].items()},
            )
            for step in written["steps"]
        )
        return cls(tuple(written["inputs"]), tuple(written["outputs"]), steps)
