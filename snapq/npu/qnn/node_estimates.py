"""Qualcomm's estimate node by node: which nodes the accelerator's time goes to.

With `profiling_level=optrace` the compiler writes, when a session is created, the timeline behind
its Performance Estimate: every piece of work on the accelerator's threads with start and duration
in cycles, which ends where the estimate says (QAIRT 2.51: EfficientNet-Lite0 w8a8 on SoC id 77,
460,061 of 460,067 cycles; the same on every compile). The schematic beside it has the node names.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from snapq.devices.profiles import DeviceProfile
from snapq.errors import UnansweredError
from snapq.npu.qnn.estimate import PROFILE_FILE, profiled
from snapq.npu.qnn.options import DEFAULTS, CompileOptions
from snapq.records import EstimateRecord

__all__ = ["OTHER", "NodeEstimates", "Work", "estimate_nodes", "share"]

OTHER = ""
"""Name under which cycles stand that belong to no node: the boundary, layouts, idle time."""

_TRACING = {"profiling_level": "optrace", "profiling_file_path": PROFILE_FILE}
_LOG = "profile_qnn.log"
_SCHEMATIC = "_schematic.bin"
_TRACE_START = b'"traceEvents"'
_NODE_BITS = 0xFFFFFFFF
_ORIGIN = re.compile(r"0x([0-9a-f]+): '((?:[^'\\]|\\.)*)'")
_SUFFIXES = re.compile(r"(?:_token)?_\d+$")


@dataclass(frozen=True)
class Work:
    """One piece of work on one thread of the accelerator, in cycles.

    Attributes:
        start: when it starts.
        duration: how long it takes.
        owner: of which node it is.
        rank: 0 for computing, 1 for moving data, 2 for handing out work.
    """

    start: int
    duration: int
    owner: int
    rank: int


@dataclass(frozen=True)
class NodeEstimates:
    """The estimate of a model and how it divides among its nodes.

    Attributes:
        total: the estimate of the whole.
        cycles: by node name; the provider computes a fused unit under one of its names. What
            belongs to no node stands under `OTHER`. The sum is that of the total.
    """

    total: EstimateRecord
    cycles: Mapping[str, float]


def estimate_nodes(
    model: Path, device: DeviceProfile, options: CompileOptions = DEFAULTS
) -> NodeEstimates:
    """Compiles the model once and divides its estimate among its nodes. Raises as `npu.Model`."""
    with profiled(model, device, options, _TRACING) as (files, folder, total):
        cycles = _by_name(folder, [node.name for node in files.nodes])
    # The timeline ends a few cycles before the estimate does.
    scale = total.cycles / sum(cycles.values()) if cycles else 0.0
    return NodeEstimates(total, {name: spent * scale for name, spent in cycles.items()})


def share(timeline: Iterable[Work]) -> dict[int, float]:
    """Divides the time of a timeline among the owners of its work, so that the parts add up.

    At each moment the time goes in equal parts to those that compute; where nothing computes, to
    those that move data, and then to those that hand out work. Time in which nothing happens goes
    to nobody.
    """
    edges: list[tuple[int, bool, Work]] = []
    for work in timeline:
        if work.duration > 0:
            edges.append((work.start, True, work))
            edges.append((work.start + work.duration, False, work))
    edges.sort(key=lambda edge: edge[:2])
    spent: dict[int, float] = {}
    active: list[Counter[int]] = [Counter(), Counter(), Counter()]
    before = 0
    for time, starts, work in edges:
        owners = next((+running for running in active if +running), None)
        if owners and time > before:
            for owner, threads in owners.items():
                part = (time - before) * threads / owners.total()
                spent[owner] = spent.get(owner, 0.0) + part
        before = time
        active[work.rank][work.owner] += 1 if starts else -1
    return spent


def _by_name(folder: Path, nodes: list[str]) -> dict[str, float]:
    """Cycles by node name over every part of the graph that the provider compiled."""
    log = (folder / _LOG).read_bytes() if (folder / _LOG).is_file() else b""
    spent: dict[str, float] = {}
    schematics = sorted(folder.glob(f"*{_SCHEMATIC}"))
    if not schematics:
        raise _no_timeline("")
    for path in schematics:
        graph = path.name.removesuffix(_SCHEMATIC).encode()
        start = log.find(_TRACE_START, max(log.find(graph), 0))
        if start < 0:
            raise _no_timeline(graph.decode())
        names = _names(path, nodes)
        try:
            works = list(_works(log, log.rfind(b"{", 0, start)))
        except (ValueError, KeyError, TypeError):
            raise _no_timeline(graph.decode()) from None
        for owner, cycles in share(works).items():
            name = names.get(owner, OTHER)
            spent[name] = spent.get(name, 0.0) + cycles
    return spent


def _no_timeline(graph: str) -> UnansweredError:
    return UnansweredError(
        "The compiler gave no timeline of its estimate, or not all of it.",
        where=graph or None,
        hint=f"See whether there is space left for its files in {tempfile.gettempdir()}.",
    )


def _works(log: bytes, start: int) -> Iterator[Work]:
    """The work of one trace, in Chrome's trace event format, inside of the log."""
    trace, _ = json.JSONDecoder().raw_decode(log[start:].decode("latin-1"))
    events = trace["traceEvents"]
    threads = {
        event["tid"]: str(event["args"]["name"])
        for event in events
        if event.get("name") == "thread_name"
    }
    for event in events:
        if event.get("ph") != "X":
            continue
        moves = "DMA" in threads.get(event["tid"], "")
        hands_out = str(event["name"]).startswith("default_")
        yield Work(
            int(event["ts"]),
            int(event["dur"]),
            int(event["args"]["id"], 16) & _NODE_BITS,
            1 if moves else 2 if hands_out else 0,
        )


def _names(schematic: Path, nodes: list[str]) -> dict[int, str]:
    """Node name by the number of its operator; numbers of no node are left out."""
    text = schematic.read_bytes().decode("utf-8", "replace")
    start = text.find("qnn_name_translations")
    block = text[start : text.find("\n}", start)] if start >= 0 else ""
    known = set(nodes)
    found = {int(number, 16): _node(name, known) for number, name in _ORIGIN.findall(block)}
    return {number: name for number, name in found.items() if name is not None}


def _node(operator: str, known: set[str]) -> str | None:
    """The node behind an operator; the provider appends `_token_3`, `_2` or an operator's name."""
    name = operator
    while name:
        if name in known:
            return name
        shorter = _SUFFIXES.sub("", name)
        name = shorter if shorter != name else name.rpartition("_")[0]
    return None
