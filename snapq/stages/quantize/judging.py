"""Who runs and who times the models that the quantizer tries: the CPU, the simulator, the estimate.

The engines of `snapq.quantization` know nothing of the NPU; they get these functions.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.records import EstimateRecord, SensitivityRecord, Where
from snapq.stages.base import Context, Memo
from snapq.stages.estimating import precise_us

if TYPE_CHECKING:
    import onnx_ir as ir

    from snapq.devices.profiles import DeviceProfile
    from snapq.graph.boundary import Boundary
    from snapq.npu.qnn.node_estimates import NodeEstimates
    from snapq.npu.qnn.options import CompileOptions
    from snapq.quantization.analysis.sensitivity import (
        Damage,
        Feeds,
        Run,
    )
    from snapq.quantization.mixed_precision.cost import Cost

_ONE_WORKER_UP_TO = 8
"""So few samples are done sooner than a second worker has compiled the model."""


def runner(where: Where, device: DeviceProfile) -> Run:
    """Who computes outputs: `host`, the CPU of this machine, or `simulated`, the device's NPU."""
    return _simulator(device) if where is Where.SIMULATED else run_on_cpu


def run_on_cpu(model: ir.Model, samples: Sequence[Feeds]) -> Iterator[Feeds]:
    """Outputs of each sample, computed by ONNX Runtime on the CPU in the place of the NPU."""
    from snapq.cpu import CpuModel
    from snapq.quantization.qdq.wide_bias import as_added
    from snapq.runtime import processors

    return map(CpuModel(as_added(model), threads=processors()).run, samples)


def _simulator(device: DeviceProfile) -> Run:
    def run(model: ir.Model, samples: Sequence[Feeds]) -> Iterator[Feeds]:
        from snapq.graph import io
        from snapq.npu.qnn.simulate import simulate

        with tempfile.TemporaryDirectory(prefix="snapq-") as folder:
            path = Path(folder) / "model.onnx"
            io.save(model, path)
            workers = 1 if len(samples) <= _ONE_WORKER_UP_TO else None
            yield from simulate(path, device, samples, options=_options(device), workers=workers)

    return run


def estimate_model(
    model: ir.Model,
    device: DeviceProfile,
    plan: Boundary | None,
    label: str,
    memo: Memo | None = None,
) -> NodeEstimates:
    """Qualcomm's estimate of a model with the package's boundary, divided among its nodes.

    Args:
        model: with Q/DQ, or float.
        device: what to estimate for, or for the nearest that has an estimate.
        plan: the boundary; as the model is where None.
        label: what is estimated.
        memo: keeps estimates from one run to the next.

    Raises:
        DeviceError, QnnError, InstallError: as `qnn.node_estimates.estimate_nodes`.
    """
    from snapq.graph import boundary, io
    from snapq.npu.qnn.node_estimates import NodeEstimates, estimate_nodes

    packaged = boundary.apply(model, plan).model if plan is not None else model
    digest = io.digest(packaged) if memo is not None else ""
    key = memo.key("nodes", model=digest, device=device.soc_id) if memo is not None else ""
    kept = memo.value(key) if memo is not None else None
    if kept is not None:
        total = EstimateRecord.model_validate({**kept["total"], "label": label})
        return NodeEstimates(total, kept["cycles"])
    with tempfile.TemporaryDirectory(prefix="snapq-") as folder:
        path = Path(folder) / "model.onnx"
        io.save(packaged, path)
        found = estimate_nodes(path, device, _options(device), label=label)
    if memo is not None:
        memo.keep_value(key, {"total": found.total.to_json(), "cycles": dict(found.cycles)})
    return found


class Stopwatch:
    """Estimates candidates, and remembers whose estimate it was.

    Args:
        device: what to estimate for.
        context: of the run: its boundary, and where estimates are kept.
    """

    def __init__(self, device: DeviceProfile, context: Context) -> None:
        self._device, self._context = device, context
        self.estimated_on: str | None = None
        """The device whose estimate it was."""

    def __call__(self, model: ir.Model) -> Cost:
        """The estimate of one candidate. Raises as `estimate_model`."""
        from snapq.quantization.mixed_precision.cost import Cost

        context = self._context
        found = estimate_model(model, self._device, context.boundary, "candidate", context.memo)
        self.estimated_on = found.total.estimated_on
        return Cost(found.total.cycles, precise_us(found.total), found.cycles)


def sensitivity_records(
    damages: Sequence[Damage],
    where: Where,
    device: str,
    samples: int,
    spent: Mapping[str, float],
) -> tuple[SensitivityRecord, ...]:
    """Damages as they go into a record, each node with its part of the estimate in microseconds."""
    return tuple(
        SensitivityRecord(
            kind=damage.kind.value,
            name=damage.name,
            op_type=damage.op_type,
            sqnr_db=damage.sqnr_db,
            where=where,
            device=device if where is Where.SIMULATED else None,
            samples=samples,
            cause=damage.cause,
            us=spent.get(damage.name) if damage.kind.value == "node" else None,
        )
        for damage in damages
    )


def _options(device: DeviceProfile) -> CompileOptions:
    from snapq.npu.qnn.options import CompileOptions

    return CompileOptions(fp16="fp16" in device.precisions)
