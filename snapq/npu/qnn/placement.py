"""Which node runs where, and for each that stays off the NPU the provider's own reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from snapq.devices.profiles import DeviceProfile
from snapq.npu.qnn import model_files, sessions, tasks, workers
from snapq.npu.qnn.model_files import ModelFiles
from snapq.npu.qnn.options import CompileOptions
from snapq.npu.qnn.sessions import Refusal, Report
from snapq.records import NodePlacement, PlacementRecord

NPU, CPU, NONE = "npu", "cpu", "none"

_GONE = "ONNX Runtime folded or fused it away; it runs nowhere."
_TAKEN_APART = "ONNX Runtime replaced it by simpler operators."


@dataclass(frozen=True)
class Placement:
    """Where the nodes of a model run."""

    nodes: tuple[NodePlacement, ...]
    """Every node of the model but constants, in its order, by its name (`Conv_3`, by its place,
    where it has none); then nodes that ONNX Runtime added and runs on the CPU."""
    partitions: int
    """Parts of the graph on the NPU; each change to the CPU and back costs a round trip."""

    @property
    def npu(self) -> int:
        """Number of nodes on the NPU."""
        return sum(node.unit == NPU for node in self.nodes)

    @property
    def cpu(self) -> int:
        """Number of nodes on the CPU."""
        return sum(node.unit == CPU for node in self.nodes)

    def record(self, label: str, device: DeviceProfile) -> PlacementRecord:
        """The same for a run's record."""
        return PlacementRecord(
            label=label,
            device=device.name,
            npu=self.npu,
            cpu=self.cpu,
            partitions=self.partitions,
            cpu_nodes=tuple(node for node in self.nodes if node.unit == CPU),
        )


def place(
    model: Path,
    device: DeviceProfile,
    options: CompileOptions | None = None,
    *,
    processor_s: float | None = None,
) -> Placement:
    """Where each node would run; the CPU is allowed. Raises as `npu.Model`.

    Args:
        model: path of an ONNX file with fixed shapes.
        device: the device.
        options: how it would be compiled.
        processor_s: seconds of processor time after which Qualcomm's runtime is stopped: what it
            takes grows faster than the number of nodes.
    """
    files = model_files.read(model)
    model_files.check_static(files)
    chosen = options or CompileOptions(optimization_mode=1)  # placement is the same in each mode
    request = sessions.request(
        model_files.STAGED_NAME, device, chosen, shown=model.name, allow_cpu=True
    )
    with workers.Worker() as worker:
        if processor_s is not None:
            worker.limit_processor_time(processor_s)
        model_files.stage(files, worker.scratch, name_nodes=True)
        report, _ = worker.call(tasks.read_back, request)
    return from_report(files, report)


def from_report(files: ModelFiles, report: Report) -> Placement:
    """Brings what was read back from a session home to the nodes of the model."""
    on_npu = {node.name for node in report.nodes if node.on_npu}
    on_cpu = {node.name for node in report.nodes if not node.on_npu}
    reasons = _reasons(report.refusals)
    names = model_files.unique_names(files.nodes)
    placed = []
    for name, node in zip(names, files.nodes, strict=True):
        if name in on_cpu:
            unit, reason = CPU, reasons.get(name, "The provider gives no reason.")
        elif name in on_npu:
            unit, reason = NPU, None
        elif name in reasons:  # refused as one node, then taken apart into nodes without names
            unit, reason = (CPU, reasons[name]) if "" in on_cpu else (NPU, _TAKEN_APART)
        else:
            unit, reason = NONE, _GONE
        placed.append(NodePlacement(name=name, op_type=node.op_type, unit=unit, reason=reason))
    known = set(names)
    added = [
        NodePlacement(
            name=node.name,
            op_type=node.op_type,
            unit=CPU,
            reason=reasons.get(node.name, "ONNX Runtime added it."),
        )
        for node in report.nodes
        if not node.on_npu and node.name not in known
    ]
    return Placement((*placed, *added), report.npu_partitions)


def _reasons(refusals: Iterable[Refusal]) -> dict[str, str]:
    """Reason by node; for the Q and DQ nodes of a unit it names the unit."""
    reasons = {}
    for refusal in refusals:
        together = len(refusal.nodes) > 1
        unit = f"Node unit {refusal.op_type} ({', '.join(refusal.nodes)}): " if together else ""
        for name in refusal.nodes:
            reasons[name] = unit + refusal.reason
    return reasons
