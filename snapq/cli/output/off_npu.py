"""What stays off the NPU, grouped by reason, and the cut that `inspect` proposes."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snapq.api.cut_proposal import ProposedCut
    from snapq.api.placements import OffNpu, PrecisionPlacement

MOST_GROUPS = 20
"""Further reasons are counted; `--json` has every node."""
_NAMED = 3
_OWN = re.compile(r"'[^']*'|\[[^\]]*\]|\([^()]*\)|\d+")
"""What a reason says of one node alone: names, shapes, numbers."""

Row = tuple[str, str, str, str]


def off_npu_rows(placement: PrecisionPlacement) -> Iterator[Row]:
    """Number, operators, reason and hint of each group of nodes, the largest group first.

    Reasons that differ in names, shapes and numbers only are one; the first node's stands for it.
    """
    groups: dict[tuple[str, str], list[OffNpu]] = {}
    for node in placement.cpu_nodes:
        groups.setdefault((_OWN.sub("…", node.reason), node.hint or ""), []).append(node)
    for (_, hint), nodes in sorted(groups.items(), key=lambda group: -len(group[1])):
        names = ", ".join(node.name for node in nodes[:_NAMED])
        more = ", …" if len(nodes) > _NAMED else ""
        yield f"{len(nodes):,}", _operators(nodes), f"{nodes[0].reason} ({names}{more})", hint


def _operators(nodes: Sequence[OffNpu]) -> str:
    counted = Counter(node.op_type for node in nodes).most_common()
    named = [op if count == 1 else f"{count:,} {op}" for op, count in counted[:_NAMED]]
    return ", ".join(named) + (", …" if len(counted) > _NAMED else "")


def cut_lines(cut: ProposedCut) -> Iterable[str]:
    """What a proposed cut keeps on the NPU, and how it is made."""
    yield (
        f"Cut at {', '.join(cut.outputs)}: {cut.percent} of the MACs stay; "
        f"{cut.tail_nodes:,} nodes behind it run on the CPU."
    )
    for placement in cut.placements:
        remark = f" ({placement.remark})" if placement.remark else ""
        yield (
            f"  in front of it, {placement.precision}: {placement.npu} of "
            f"{placement.npu + placement.cpu} nodes on the NPU{remark}"
        )
    yield from (f"  {note}" for note in cut.notes)
    named = ", ".join(json.dumps(name, ensure_ascii=False) for name in cut.outputs)
    yield f"  deploy.yaml: `model: {{outputs: [{named}]}}`; `snapq init --cut` writes it."
