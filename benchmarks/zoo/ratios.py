"""Holds what snapq's packages are predicted to take against Qualcomm's best public runtime.

    python -m benchmarks.zoo.ratios [--figures FILE] [--results FILE] [--deployed FILE] [--rows]

For each network with a public figure on the IQ-9075, at each precision: the estimate of the package
as it is deployed (`benchmarks.zoo.deployed`), what `snapq` predicts of it for the board through
ONNX Runtime, the lowest latency that Qualcomm published for the network at that precision through
any runtime, and the ratio of the two. Where a network was not deployed at a precision, the estimate
of the plain form (`benchmarks.zoo.measure`) counts, which is marked. Estimates that lack the cost
of operators are left out. The summary gives the share of networks at most as slow as Qualcomm's,
at most 1.15 times as slow, and the median.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.prediction.figures import (
    FIGURES,
    PRECISIONS,
    REFERENCE,
    SOURCE,
    Measured,
    latency,
    measured,
)
from benchmarks.zoo.__main__ import DEPLOYED, RESULTS, read
from benchmarks.zoo.deployed import PREFIX
from benchmarks.zoo.networks import Network, networks
from snapq.prediction.network import Features, Kind
from snapq.prediction.table import packaged
from snapq.records import EstimateRecord

SOC = "qcs9075"
SLIGHTLY = 1.15


@dataclass(frozen=True)
class Ratio:
    """A network's package beside Qualcomm's.

    Attributes:
        network: of the zoo.
        precision: of the public figure: `float`, `w8a8`, `w8a16`.
        estimate_us: for the chip.
        predicted_us: for the board, through ONNX Runtime.
        public_us: the lowest of all runtimes.
        deployed: whether the package is as it is deployed, not in its plain form.
    """

    network: str
    precision: str
    estimate_us: float
    predicted_us: float
    public_us: float
    deployed: bool

    @property
    def value(self) -> float:
        """Predicted over public; below 1 is faster than Qualcomm's."""
        return self.predicted_us / self.public_us


def ratios(
    rows: Sequence[dict[str, Any]], known: Sequence[Network], figures: Measured
) -> Iterator[Ratio]:
    """The ratios of all networks that have an estimate and a public figure."""
    for network in known:
        mine = [
            row
            for row in rows
            if (row["network"], row["soc"]) == (network.name, SOC) and not row.get("missing_ops", 1)
        ]
        for precision, names in PRECISIONS.items():
            public = latency(figures, network, precision, REFERENCE, "best")
            deployed = [row for row in mine if row["precision"] in {PREFIX + one for one in names}]
            plain = [row for row in mine if row["precision"] in names]
            counts = deployed or plain
            if public is None or not counts:
                continue
            row = min(counts, key=lambda one: float(one["us"]))
            predicted = predicted_us(row, precision)
            yield Ratio(network.name, precision, row["us"], predicted, public, bool(deployed))


def predicted_us(row: dict[str, Any], precision: str) -> float:
    """What snapq's table says of a row of results, for the board through ONNX Runtime."""
    kind = Kind(row["kind"])
    fit = packaged().of(SOC, precision, kind)
    assert fit is not None
    features = Features(
        (precision,), kind, row["boundary_bytes"], row["nodes"], row["macs"], row["normalized"]
    )
    us, cycles = row["us"], row["cycles"]
    estimate = EstimateRecord.model_construct(
        us=us, us_upper=us, cycles=cycles, cycles_upper=cycles, ddr_bytes=row["ddr"]
    )
    return fit.us(estimate, features)


def table(found: Sequence[Ratio]) -> Iterator[str]:
    """A row a network in Markdown: `predicted / public = ratio`, for each precision."""
    yield "| network | " + " | ".join(PRECISIONS) + " |"
    yield "|---|" + "---|" * len(PRECISIONS)
    for name in dict.fromkeys(one.network for one in found):
        cells = []
        for precision in PRECISIONS:
            cell = [one for one in found if (one.network, one.precision) == (name, precision)]
            cells.append(_cell(cell[0]) if cell else "")
        yield f"| {name} | {' | '.join(cells)} |"


def _cell(one: Ratio) -> str:
    mark = "" if one.deployed else " plain"
    return f"{one.predicted_us:,.0f} / {one.public_us:,.0f} = {one.value:.2f}{mark}"


def summary(found: Sequence[Ratio]) -> Iterator[str]:
    """The shares and the median at each precision, in Markdown."""
    yield f"| precision | networks | deployed | at most 1.0 | at most {SLIGHTLY} | median |"
    yield "|---|---|---|---|---|---|"
    for precision in PRECISIONS:
        some = [one for one in found if one.precision == precision]
        if not some:
            continue
        values = [one.value for one in some]
        share, slightly = (
            f"{sum(value <= most for value in values) / len(values):.0%}".replace("%", " %")
            for most in (1.0, SLIGHTLY)
        )
        deployed = sum(one.deployed for one in some)
        yield (
            f"| {precision} | {len(some)} | {deployed} | {share} | {slightly} | "
            f"{median(values):.2f} |"
        )


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--figures", type=Path, default=FIGURES)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--deployed", type=Path, default=DEPLOYED)
    parser.add_argument("--rows", action="store_true", help="a row for each network, too")
    arguments = parser.parse_args()
    if not arguments.figures.is_file():
        parser.error(f"there is no {arguments.figures}; make it of {SOURCE}")
    rows = [*read(arguments.results), *read(arguments.deployed)]
    found = list(ratios(rows, networks(), measured(arguments.figures)))
    if arguments.rows:
        print(*table(found), sep="\n", end="\n\n")
    print(*summary(found), sep="\n")


if __name__ == "__main__":
    main()
