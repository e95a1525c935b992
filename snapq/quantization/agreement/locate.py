"""Finds the first node where the NPU and the CPU part, with few simulations.

1. Bisection: the model up to a node runs on both; what it gives is compared. Where the NPU is off
   there, the fault lies at or before that node. Some `log2` of the number of nodes runs are made.
2. Proof: the node that was found runs by itself, fed with the CPU's values; where the fault does
   not show, more and more of the nodes before it run along, as kernels span several nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import onnx_ir as ir

from snapq.cpu import CpuModel
from snapq.devices.profiles import DeviceProfile
from snapq.errors import SnapqError
from snapq.graph.behind import unsteady_outputs
from snapq.npu.model import CompileOptions, Memory, Model
from snapq.quantization.agreement.compare import REPEATS, Agreement, compare, with_changes
from snapq.quantization.agreement.noise import with_noise
from snapq.quantization.agreement.parts import Part, Parts
from snapq.quantization.calibration.calibrate import expose
from snapq.quantization.qdq.wide_bias import as_added

__all__ = ["Bench", "Located", "locate", "on_cpu"]

Array = np.ndarray[Any, np.dtype[Any]]
Feeds = Mapping[str, Array]

_CLEAR_DB = 8.0
"""A tensor is off where it is at most this far above the output that is off."""
_HIGHEST_DB = 24.0
"""What is nearer than this is rounding: half a step of 8 bits on a tensor of small numbers."""
_PROOF_DB = 16.0
"""So far from the CPU is no single node, nor some, for reasons of rounding."""
_SPREADS = (1, 2, 3, 4, 6, 9, 13)
"""How many nodes run along when a fault is shown by a part alone."""


def on_cpu(model: ir.Model, feeds: Sequence[Feeds]) -> list[dict[str, Array]]:
    """The CPU's outputs of a Q/DQ or float model.

    Each node is computed as it is written: ONNX Runtime's optimizer may turn layers with 16-bit
    data into ones of 8 bits, and its fused kernels saturate on some CPUs.
    """
    cpu = CpuModel(as_added(model), optimize=False)
    return [cpu.run(feed) for feed in feeds]


@dataclass(frozen=True)
class Bench:
    """Where parts of models run and are compared.

    Attributes:
        device: whose NPU.
        feeds: of the whole model.
        options: how it was compiled where the fault showed.
        memory: keeps answers of the NPU.
        allow_cpu: whether nodes that the NPU refuses run on the CPU.
    """

    device: DeviceProfile
    feeds: tuple[Feeds, ...]
    options: CompileOptions | None = None
    memory: Memory | None = None
    allow_cpu: bool = False

    def simulated(self, model: ir.Model, feeds: Sequence[Feeds]) -> list[dict[str, Array]]:
        """Outputs on the simulator, sample by sample."""
        needed = {str(value.name) for value in model.graph.inputs}
        given = [{name: feed[name] for name in feed if name in needed} for feed in feeds]
        npu = Model(model, self.device, memory=self.memory)
        return list(npu.simulate(given, options=self.options, allow_cpu=self.allow_cpu))

    def agreement(self, model: ir.Model, feeds: Sequence[Feeds], truth: Sequence[Feeds]) -> float:
        """SQNR in dB of a model on the NPU against values of the CPU; 120 where it is exact.

        A model that changes from run to run has -120.
        """
        findings = self._compared(model, feeds, truth, partial(compare, reference=None))
        return min((one.agreement_db for one in findings), default=120.0)

    def findings(
        self,
        model: ir.Model,
        feeds: Sequence[Feeds],
        truth: Sequence[Feeds],
        reference: Sequence[Feeds] | None,
        *,
        float16: bool = False,
    ) -> tuple[Agreement, ...]:
        """How a model on the NPU compares with the CPU's values; arguments as of `compare`."""
        noisy = partial(with_noise, model, feeds, float16=float16)
        judge = partial(
            compare,
            reference=reference,
            float16=float16,
            noisy=noisy,
            chosen=unsteady_outputs(model.graph),
        )
        return self._compared(model, feeds, truth, judge)

    def _compared(
        self,
        model: ir.Model,
        feeds: Sequence[Feeds],
        truth: Sequence[Feeds],
        judge: Callable[[Sequence[Feeds], Sequence[Feeds]], tuple[Agreement, ...]],
    ) -> tuple[Agreement, ...]:
        found = self.simulated(model, (*feeds, *[feeds[0]] * REPEATS))
        npu = found[: len(feeds)]
        return with_changes(judge(truth, npu), (npu[0], *found[len(feeds) :]))


@dataclass(frozen=True)
class Located:
    """Where the NPU and the CPU part.

    Attributes:
        node: the first node whose values differ.
        op_type: its operator.
        region: the nodes that have to run together for the fault to show, that one last.
        part: these nodes by themselves; all up to that node where the fault shows only so.
        agreement_db: SQNR of the NPU against the CPU there, in dB.
        alone: whether these nodes by themselves show the fault.
    """

    node: str
    op_type: str
    region: tuple[str, ...]
    part: Part
    agreement_db: float
    alone: bool

    def __str__(self) -> str:
        others = [name for name in self.region if name != self.node]
        behind = f" (with {', '.join(others[:4])})" if others and self.alone else ""
        return f"node '{self.node}' ({self.op_type}){behind}"


class Search:
    """One search; the CPU's values are computed once for each part.

    Args:
        model: the model whose outputs are off.
        bench: where parts run.
        worst_db: how near its worst output is to the CPU's.
    """

    def __init__(self, model: ir.Model, bench: Bench, worst_db: float) -> None:
        self.parts = Parts(model)
        self.bench = bench
        self.limit = min(worst_db + _CLEAR_DB, _HIGHEST_DB)
        self._known: dict[int, float] = {}

    def first(self) -> int | None:
        """The first position at which what the NPU gives is off; None where none is."""
        low, high = 0, len(self.parts.nodes) - 1
        if high < 0 or self._up_to(high) > self.limit:
            return None
        while low < high:
            middle = (low + high) // 2
            if self._up_to(middle) <= self.limit:
                high = middle
            else:
                low = middle + 1
        return low

    def proof(self, position: int) -> Located:
        """The smallest part that shows the fault at a position."""
        node = self.parts.nodes[position]
        for count in _SPREADS:
            first = max(position - count + 1, 0)
            part = self.parts.alone(first, position)
            found = self.alone(part)
            if found is not None and found <= min(self.limit, _PROOF_DB):
                region = tuple(str(n.name) for n in self.parts.nodes[first : position + 1])
                return Located(str(node.name), node.op_type, region, part, found, True)
            if first == 0:
                break
        whole = self.parts.up_to(position)
        region = (str(node.name),)
        return Located(str(node.name), node.op_type, region, whole, self._up_to(position), False)

    def alone(self, part: Part) -> float | None:
        """How near a part by itself is to the CPU; None where the NPU does not take it."""
        try:
            return self.bench.agreement(part.of(self.parts.model), *self.cpu_values(part))
        except SnapqError:
            return None

    def cpu_values(self, part: Part) -> tuple[list[Feeds], list[Feeds]]:
        """What feeds a part, and what it gives, on the CPU."""
        feeds: list[Feeds] = list(self.bench.feeds)
        if part.sources:
            given = self._values(part.sources)
            feeds = [
                {name: one[source] for name, source in zip(part.inputs, part.sources, strict=True)}
                for one in given
            ]
        return feeds, list(on_cpu(part.of(self.parts.model), feeds))

    def _values(self, wanted: Sequence[str]) -> list[Feeds]:
        """The CPU's values of tensors of the model."""
        inner = tuple(dict.fromkeys(name for name in wanted if name not in self._inputs))
        model = self.parts.model
        cpu = CpuModel(as_added(expose(model, inner)), optimize=False)
        return [{**feed, **cpu.run(feed, inner)} for feed in self.bench.feeds]

    @cached_property
    def _inputs(self) -> set[str]:
        return {str(value.name) for value in self.parts.model.graph.inputs}

    def _up_to(self, position: int) -> float:
        if position not in self._known:
            part = self.parts.up_to(position)
            self._known[position] = 120.0
            if part.outputs:
                found = self.alone(part)
                self._known[position] = 120.0 if found is None else found
        return self._known[position]


def locate(
    model: ir.Model,
    bench: Bench,
    worst_db: float,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Search, Located] | None:
    """Where the NPU and the CPU part in a model whose outputs are off.

    Args:
        model: a Q/DQ or float model with float inputs and outputs.
        bench: where its parts run.
        worst_db: how near its worst output on the NPU is to the CPU's.
        say: told what is searched.

    Returns:
        The search, for whoever goes on with it, and what it found; None where no part is off.
    """
    search = Search(model, bench, worst_db)
    say(f"The NPU is off; looking for the first of {len(search.parts.nodes)} nodes")
    position = search.first()
    return None if position is None else (search, search.proof(position))
