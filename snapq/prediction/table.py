"""The table of fits that the package comes with: a board's latency as a line over estimates.

`benchmarks/prediction` makes it of Qualcomm's public latencies (the package qai-hub-models,
BSD-3-Clause) and of estimates of the same networks.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from snapq.errors import StorageError
from snapq.prediction.network import Features, Kind
from snapq.records import EstimateRecord, Record
from snapq.storage import storage_errors

__all__ = ["TABLE", "Fit", "Table", "packaged"]

TABLE = Path(__file__).with_name("table.json")
_MB, _GMAC, _MILLION = 1e6, 1e9, 1e6
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0)]


class Fit(Record):
    """A device's latency at one precision, as a line over the estimate of one chip."""

    model_config = ConfigDict(populate_by_name=True)

    device: str
    """The profile that it is for."""
    precision: Literal["float", "w8a8", "w8a16"]
    runtime: Literal["onnx", "best"]
    """`onnx`: ONNX Runtime; `best`: the fastest of Qualcomm's runtimes."""
    kind: Kind = Kind.ANY
    source: str = Field(alias="from")
    """The profile whose estimate is read."""
    offset_us: float
    factor: Positive
    per_boundary_mb_us: float = 0.0
    per_ddr_mb_us: float = 0.0
    per_node_us: float = 0.0
    per_gmac_us: float = 0.0
    """By 1e9 multiply-accumulates: a chip may have fewer units for them than the one estimated."""
    per_normalized_million_us: float = 0.0
    """By 1e6 values of pictures that the network normalizes itself."""
    low: Positive
    """10 % quantile of measured over predicted, each network left out of its own fit."""
    high: Positive
    """90 % quantile."""
    networks: Annotated[int, Field(gt=0)]
    median_error: Share
    """Of |measured - predicted| / measured, each network left out of its own fit."""
    largest_error: Share
    coverage: Annotated[float, Field(ge=0, le=1)]
    """Share of the networks inside the interval."""
    estimate_us: tuple[float, float] | None = None
    """Smallest and largest estimate among the networks."""

    note: str = ""
    """What is to be known of the public latencies, a sentence."""

    def to_json(self) -> dict[str, Any]:
        """The fit as it stands in the file."""
        values: dict[str, Any] = json.loads(self.model_dump_json(by_alias=True))
        return values

    def us(self, estimate: EstimateRecord, features: Features) -> float:
        """The median of the board's latency, in microseconds."""
        found = (
            self.offset_us
            + self.factor * (estimate.precise_us or estimate.us)
            + self.per_boundary_mb_us * features.boundary_bytes / _MB
            + self.per_ddr_mb_us * sum(estimate.ddr_bytes.values()) / _MB
            + self.per_node_us * features.nodes
            + self.per_gmac_us * features.macs / _GMAC
            + self.per_normalized_million_us * features.normalized / _MILLION
        )
        return max(found, 1.0)


class Table(Record):
    """All fits, and what made them."""

    schema_version: Literal["snapq.prediction/1"]
    made_with: dict[str, str]
    """Versions, date and source of the figures."""
    fits: tuple[Fit, ...]

    def of(self, device: str, precision: str, kind: Kind = Kind.ANY) -> Fit | None:
        """The fit for a device; through ONNX Runtime where its latency is public.

        That of the kind of network counts before that of all networks.
        """
        order = [(runtime, one) for runtime in ("onnx", "best") for one in (kind, Kind.ANY)]
        found = [one for one in self.fits if (one.device, one.precision) == (device, precision)]
        return next((f for place in order for f in found if (f.runtime, f.kind) == place), None)

    def of_device(self, device: str) -> tuple[Fit, ...]:
        """All fits of a device, at each precision through the runtime that `of` takes."""
        found = [one for one in self.fits if one.device == device]
        onnx = {one.precision for one in found if one.runtime == "onnx"}
        return tuple(one for one in found if one.runtime == "onnx" or one.precision not in onnx)


@cache
def packaged() -> Table:
    """The table that the package comes with. Raises `StorageError`."""
    return read(TABLE)


def read(path: Path) -> Table:
    """Reads a table.

    Raises:
        StorageError: it cannot be read, or is none.
    """
    with storage_errors(path):
        text = path.read_text(encoding="utf-8")
    try:
        return Table.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise StorageError(
            f"This is no table of predictions: {key}: {first['msg']}.", where=str(path)
        ) from error
