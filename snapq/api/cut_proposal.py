"""The cut that `inspect` proposes and `init --cut` writes: found on the graph, then tried."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapq.api.placements import PrecisionPlacement

if TYPE_CHECKING:
    import onnx_ir as ir

    from snapq.graph.shapes import InputShapes

_TRIES = 4
"""How often what the compiler refuses in front of a cut moves the cut."""


@dataclass(frozen=True)
class ProposedCut:
    """A cut that keeps most of the work on the NPU.

    Attributes:
        outputs: the tensors to cut at, for `model.outputs`.
        macs: share of the multiply-accumulates in front of them, 0 to 1.
        tail_nodes: nodes behind them, for the CPU.
        placements: where the nodes in front of them run, one a precision.
        notes: sentences for the reader.
    """

    outputs: tuple[str, ...]
    macs: float
    tail_nodes: int
    placements: tuple[PrecisionPlacement, ...]
    notes: tuple[str, ...] = ()

    @property
    def percent(self) -> str:
        """The share of the multiply-accumulates, rounded down: `97.3 %`."""
        return f"{math.floor(self.macs * 1000) / 10:g} %"


def propose_cut(
    model: ir.Model,
    shapes: InputShapes,
    prepared: ir.Model,
    placements: Iterable[PrecisionPlacement],
    place: Callable[[ir.Model], tuple[PrecisionPlacement, ...]],
) -> ProposedCut | None:
    """The cut in front of all that runs at no precision on the NPU; None where nothing helps.

    Args:
        model: the model as given.
        shapes: of its inputs.
        prepared: the same after prepare.
        placements: where the nodes of `prepared` run.
        place: tells where the nodes of another prepared model run.

    Raises:
        ModelError: the part in front of the cut cannot be prepared.
    """
    from snapq.graph.cutting import cut, propose
    from snapq.graph.cutting.values import named_tensors
    from snapq.graph.prepare import prepare
    from snapq.graph.shapes import freeze

    part, share, best, frozen = prepared, 1.0, None, None
    names = {
        name
        for name, value in named_tensors(model).items()
        if (maker := value.producer()) is not None and maker.op_type != "QuantizeLinear"
    }
    for _ in range(_TRIES):
        found = propose(part, _refused(placements), names)
        if found is None:
            return best
        frozen = frozen or freeze(model, shapes)
        made = cut(frozen, found.outputs)
        part = prepare(made.model, {}).model
        placements = place(part)
        share *= found.macs
        tail_nodes = 0 if made.tail is None else len(made.tail.graph)
        best = ProposedCut(found.outputs, share, tail_nodes, tuple(placements), made.notes)
    return best


def _refused(placements: Iterable[PrecisionPlacement]) -> set[str]:
    """The nodes that run on the NPU at no precision at which there is an answer."""
    answers = [
        {node.name for node in placement.cpu_nodes}
        for placement in placements
        if placement.cpu_nodes or not placement.cpu
    ]
    return set.intersection(*answers) if answers else set()
