"""Who runs and who times the models that the quantizer tries: the CPU, the simulator, the estimate.

The engines of `snapq.quantization` know nothing of the NPU; they get these functions.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.records import SensitivityRecord, Where

if TYPE_CHECKING:
    import onnx_ir as ir

    from snapq.devices.profiles import DeviceProfile
    from snapq.graph.boundary import Boundary
    from snapq.qnn.node_estimates import NodeEstimates
    from snapq.qnn.options import CompileOptions
    from snapq.quantization.sensitivity import Damage, Feeds, Run

_LARGEST_IN_MEMORY = 1 << 30
_ONE_WORKER_UP_TO = 8
"""So few samples are done sooner than a second worker has compiled the model."""


def runner(where: Where, device: DeviceProfile) -> Run:
    """Who computes outputs: `host`, the CPU of this machine, or `simulated`, the device's NPU."""
    return _simulator(device) if where is Where.SIMULATED else run_on_cpu


def run_on_cpu(model: ir.Model, samples: Sequence[Feeds]) -> Iterator[Feeds]:
    """Outputs of each sample, computed by ONNX Runtime on the CPU."""
    from snapq.graph import io
    from snapq.runtime import cpu_session

    threads = os.cpu_count() or 1
    constants = (value.const_value for value in model.graph.initializers.values())
    if sum(tensor.nbytes for tensor in constants if tensor is not None) < _LARGEST_IN_MEMORY:
        session = cpu_session(io.to_bytes(model), threads=threads)
    else:
        with tempfile.TemporaryDirectory(prefix="snapq-") as folder:
            path = Path(folder) / "model.onnx"
            io.save(model, path)
            session = cpu_session(path, threads=threads)
    names = [output.name for output in session.get_outputs()]
    for feeds in samples:
        yield dict(zip(names, session.run(names, dict(feeds)), strict=True))


def _simulator(device: DeviceProfile) -> Run:
    def run(model: ir.Model, samples: Sequence[Feeds]) -> Iterator[Feeds]:
        from snapq.graph import io
        from snapq.qnn.simulate import simulate

        with tempfile.TemporaryDirectory(prefix="snapq-") as folder:
            path = Path(folder) / "model.onnx"
            io.save(model, path)
            workers = 1 if len(samples) <= _ONE_WORKER_UP_TO else None
            yield from simulate(path, device, samples, options=_options(device), workers=workers)

    return run


def estimate_model(
    model: ir.Model, device: DeviceProfile, plan: Boundary | None, label: str
) -> NodeEstimates:
    """Qualcomm's estimate of a model with the package's boundary, divided among its nodes.

    Raises:
        DeviceError, QnnError, InstallError: as `qnn.node_estimates.estimate_nodes`.
    """
    from snapq.graph import boundary, io
    from snapq.qnn.node_estimates import estimate_nodes

    with tempfile.TemporaryDirectory(prefix="snapq-") as folder:
        path = Path(folder) / "model.onnx"
        io.save(boundary.apply(model, plan).model if plan is not None else model, path)
        return estimate_nodes(path, device, _options(device), label=label)


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
    from snapq.qnn.options import CompileOptions

    return CompileOptions(fp16="fp16" in device.precisions)
