"""Who runs and who times the models that the quantizer tries: the CPU, the simulator, the estimate.

The engines of `snapq.quantization` know nothing of the NPU; they get these functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from snapq.cpu import CpuModel
from snapq.devices.profiles import nearest_with_estimate
from snapq.errors import DeviceError
from snapq.graph import boundary
from snapq.graph.float16.run import write_for_float16
from snapq.npu.judged import join_window_heads
from snapq.npu.judged.rewrites import Form, rewritten
from snapq.npu.model import Memory, Model
from snapq.quantization.mixed_precision.cost import Cost
from snapq.quantization.qdq.wide_bias import as_added
from snapq.records import Origin, SensitivityRecord
from snapq.runtime import processors
from snapq.stages.base import Context

if TYPE_CHECKING:
    import onnx_ir as ir

    from snapq.devices.profiles import DeviceProfile
    from snapq.graph.boundary import Boundary
    from snapq.quantization.analysis.sensitivity import Feeds, Run, Sensitivity


def runner(where: Origin, device: DeviceProfile) -> Run:
    """Who computes outputs: `host`, the CPU of this machine, or `simulated`, the device's NPU."""
    if where is not Origin.SIMULATED:
        return run_on_cpu
    return lambda model, samples: Model(model, device).simulate(samples)


def run_on_cpu(model: ir.Model, samples: Sequence[Feeds]) -> Iterator[Feeds]:
    """Outputs of each sample, computed by ONNX Runtime on the CPU in the place of the NPU."""
    return map(CpuModel(as_added(model), threads=processors()).run, samples)


def estimated_device(context: Context) -> DeviceProfile | None:
    """The device whose estimate counts: the first that has one, else the first.

    None where there is no estimate that could stand for it.
    """
    own = [device for device in context.devices if device.has_estimate]
    device = (own or list(context.devices))[0]
    try:
        nearest_with_estimate(device)
    except DeviceError:
        return None
    return device


def timed_device(context: Context) -> DeviceProfile | None:
    """The same; None also where a device has no fp16, which integers are raced against."""
    if not all("fp16" in device.precisions for device in context.devices):
        return None
    return estimated_device(context)


class Estimator:
    """Estimates candidates for a device, and remembers whose estimate it was.

    They have the boundary `plan`, where none is given that of the run; a float model is written for
    fp16, as it would be packaged. Of the rewrites that the package stage tries, the one that can
    change which precision is the fastest is tried here too: `join_window_heads`.
    """

    def __init__(
        self, device: DeviceProfile, context: Context, plan: Boundary | None = None
    ) -> None:
        self._device, self._plan = device, plan or context.boundary
        self._memory = Memory(context.memo)
        self.estimated_on: str | None = None
        """The device whose estimate it was."""

    def __call__(self, model: ir.Model) -> Cost:
        """The estimate of one candidate. Raises as `npu.Model.estimate_nodes`."""
        if all(node.op_type != "QuantizeLinear" for node in model.graph):
            model = model.clone()
            write_for_float16(model)
        packaged = boundary.apply(model, self._plan).model if self._plan is not None else model
        plain = self._estimated(packaged)
        if not join_window_heads.sites(packaged):
            return plain
        joined = self._estimated(rewritten(packaged, Form(("join_window_heads",))))
        return joined if joined.compares_with(plain) and joined.cycles < plain.cycles else plain

    def _estimated(self, model: ir.Model) -> Cost:
        found = Model(model, self._device, memory=self._memory).estimate_nodes("candidate")
        self.estimated_on = found.total.estimated_on
        total = found.total
        return Cost(total.cycles, total.precise_us, found.cycles, total.missing_ops)


def sensitivity_records(
    sensitivities: Sequence[Sensitivity],
    where: Origin,
    device: str,
    samples: int,
    spent: Mapping[str, float],
) -> tuple[SensitivityRecord, ...]:
    """Sensitivities as records, each node with its part of the estimate in microseconds."""
    return tuple(
        SensitivityRecord(
            kind=sensitivity.kind.value,
            name=sensitivity.name,
            op_type=sensitivity.op_type,
            sqnr_db=sensitivity.sqnr_db,
            where=where,
            device=device if where is Origin.SIMULATED else None,
            samples=samples,
            cause=sensitivity.cause,
            us=spent.get(sensitivity.name) if sensitivity.kind.value == "node" else None,
        )
        for sensitivity in sensitivities
    )
