"""Qualcomm's public latencies, and the zoo's estimates of the same networks."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from benchmarks.zoo.networks import Network

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FIGURES = ROOT.parent / "shared" / "reference" / "aihub" / "figures.csv"
SOURCE = "qai-hub-models 0.65.0 (BSD-3-Clause)"
REFERENCE = "Dragonwing IQ-9075 EVK"
"""The board with most figures."""
ONNX = ("onnx", "precompiled_qnn_onnx")
"""Runtimes that are ONNX Runtime; the first that a network has counts."""
PRECISIONS = {"float": ("fp16", "given"), "w8a8": ("w8a8",), "w8a16": ("w8a16",)}
"""By precision of the figures, the forms of the zoo, of which the fastest counts."""


@dataclass(frozen=True)
class Board:
    """A board of the public figures.

    Attributes:
        name: in the figures.
        profiles: the device profiles that it stands for.
    """

    name: str
    profiles: tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """A network at one precision, estimated for one chip and measured on one board.

    Attributes:
        network: of the zoo.
        measured_us: on the board.
        estimate_us: for the chip.
        boundary_mb: of all inputs and outputs, in 1e6 bytes.
        ddr_mb: of all traffic that the estimate counts.
        kind: `convolutional`, `transformer`, … as `snapq.prediction.kinds` tells them.
        gmac: 1e9 multiply-accumulates.
        nodes: as `snapq.prediction.features` counts them.
        normalized_m: 1e6 values of inputs that the network normalizes itself.
    """

    network: str
    measured_us: float
    estimate_us: float
    boundary_mb: float
    ddr_mb: float
    kind: str
    gmac: float
    nodes: int
    normalized_m: float


Measured = dict[tuple[str, str | None, str, str], dict[str, float]]
"""Microseconds by runtime, for (model, component, precision, board)."""


def boards() -> list[Board]:
    """The boards of devices.yaml."""
    entries = yaml.safe_load((HERE / "devices.yaml").read_text())
    return [Board(entry["board"], tuple(entry["profiles"])) for entry in entries]


def measured(path: Path = FIGURES) -> Measured:
    """All public figures of networks that run on the NPU as a whole.

    A model of one component is also found without naming it.
    """
    found: Measured = {}
    components: dict[str, set[str]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            components.setdefault(row["model"], set()).add(row["component"])
            elsewhere = any(int(row[unit] or 0) for unit in ("gpu_layers", "cpu_layers"))
            if row["ms"] and not elsewhere:
                key = (row["model"], row["component"], row["precision"], row["device"])
                found.setdefault(key, {})[row["runtime"]] = 1000 * float(row["ms"])
    for (model, _, precision, board), values in list(found.items()):
        if len(components[model]) == 1:
            found[model, None, precision, board] = values
    return found


def rows_of_boards(path: Path = FIGURES) -> Counter[str]:
    """How many latencies of each board are public."""
    with path.open(newline="") as file:
        return Counter(row["device"] for row in csv.DictReader(file) if row["ms"])


def latency(
    figures: Measured, network: Network, precision: str, board: str, runtime: str
) -> float | None:
    """The public latency in microseconds; of `best`, the lowest of all runtimes."""
    key = (network.public or "", network.component, precision)
    found = figures.get((*key, board), {})
    if runtime == "best":
        return min([*found.values(), *_not_public(figures, key, board)], default=None)
    return next((found[name] for name in ONNX if name in found), None)


def _not_public(figures: Measured, key: tuple[str, str | None, str], board: str) -> Iterator[float]:
    """What the runtimes take that a board has for other networks, and lacks for this one.

    Runtimes differ up to ten times on one network, in the same way on all boards: it is the
    latency of one that is public, times the ratio of both on the board with most figures.
    """
    found, there = figures.get((*key, board), {}), figures.get((*key, REFERENCE), {})
    for runtime in _runtimes(figures, key[2], board) - set(found):
        if runtime in there and (known := [one for one in found if one in there]):
            yield median(found[one] * there[runtime] / there[one] for one in known)


def _runtimes(figures: Measured, precision: str, board: str) -> set[str]:
    """All runtimes that a board has latencies of."""
    return {
        runtime
        for (_, _, one, name), values in figures.items()
        if (one, name) == (precision, board)
        for runtime in values
    }


def cases(
    rows: Iterable[dict[str, Any]],
    networks: Sequence[Network],
    figures: Measured,
    board: str,
    precision: str,
    runtime: str,
    soc: str,
) -> list[Case]:
    """What can be fitted: the estimates of one chip against the latencies of one board."""
    known = {network.name: network for network in networks}
    made: dict[str, Case] = {}
    for row in rows:
        wanted = row["precision"] in PRECISIONS[precision] and row["soc"] == soc
        if not wanted or row.get("missing_ops", 1) or row["network"] not in known:
            continue
        name = row["network"]
        us = latency(figures, known[name], precision, board, runtime)
        if us is None or (name in made and made[name].estimate_us <= row["us"]):
            continue
        made[name] = Case(
            network=name,
            measured_us=us,
            estimate_us=row["us"],
            boundary_mb=row["boundary_bytes"] / 1e6,
            ddr_mb=sum(row["ddr"].values()) / 1e6,
            kind=row["kind"],
            gmac=row["macs"] / 1e9,
            nodes=row["nodes"],
            normalized_m=row["normalized"] / 1e6,
        )
    return list(made.values())
