"""From how many rows at once the NPU is worth it, where it is not for those that are given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from snapq.classical.advice import CALL_US, WORTH, Advice, fastest_us
from snapq.classical.ensemble import Ensemble
from snapq.classical.estimator import Estimator
from snapq.classical.rewrite import rewrite_for_cpu
from snapq.cpu import CpuModel
from snapq.errors import ModelError

if TYPE_CHECKING:
    from snapq.classical.model import ClassicalModel
    from snapq.devices.profiles import DeviceProfile
    from snapq.npu.model import Memory

__all__ = ["rows_for_the_npu", "typical_rows"]

_MOST_ROWS = 4096
"""The most that are asked about: what takes the CPU less than a call for these stays there."""


def rows_for_the_npu(
    model: ClassicalModel,
    estimators: Sequence[Estimator],
    device: DeviceProfile,
    known: Advice,
    memory: Memory,
) -> int | None:
    """The fewest rows at once for which the NPU is worth it, more than those of `known`.

    It compiles the trees for a few numbers of rows, seconds each.

    Args:
        model: the whole model.
        estimators: those that run on the NPU.
        device: with an estimate, or near one that has it.
        known: the advice for fewer rows.
        memory: what is known of estimates.

    Returns:
        None where none of the numbers that are tried is enough, or where it cannot be told: of
        SVMs and linear models, of text, and of trees that are too large.
    """
    from snapq.classical.trees import OnDevice, rows_to_win

    trees = all(isinstance(one.form, Ensemble) for one in estimators)
    open_ = all(len(port.shape) == 2 and port.shape[1] for port in model.inputs)
    if known.npu or not trees or not open_ or any(p.dtype.kind in "OU" for p in model.inputs):
        return None
    try:
        cpu = CpuModel(rewrite_for_cpu(model).SerializeToString())
        on_device = OnDevice(estimators, device, memory=memory)
    except ModelError:
        return None

    def cpu_us(rows: int) -> float:
        inputs = [(port.name, (rows, *port.shape[1:]), port.dtype) for port in model.inputs]
        given = typical_rows(inputs, estimators)
        return fastest_us(lambda: cpu.run(given))

    if cpu_us(_MOST_ROWS) < WORTH * CALL_US:
        return None
    least = known.npu_us + known.host_us
    return rows_to_win(
        on_device, cpu_us, call_us=CALL_US, worth=WORTH, beyond=known.rows, least_us=least
    )


def typical_rows(
    inputs: Iterable[tuple[str, Sequence[Any], np.dtype[Any]]], estimators: Sequence[Estimator]
) -> dict[str, np.ndarray[Any, Any]]:
    """Rows that take different ways through trees: each value is near one of the thresholds.

    Args:
        inputs: name, shape and element type of each.
        estimators: whose thresholds count where they read an input itself.
    """
    generator = np.random.default_rng(0)
    found = {}
    for name, shape, dtype in inputs:
        values = generator.standard_normal(shape)
        for one in estimators:
            form = one.form
            if isinstance(form, Ensemble) and one.rows == name:
                for column in range(form.features):
                    own = form.conditions.thresholds[form.conditions.features == column]
                    own = own[np.isfinite(own)]
                    if len(own):
                        values[:, column] = generator.choice(own, shape[0])
        found[name] = values.astype(dtype)
    return found
