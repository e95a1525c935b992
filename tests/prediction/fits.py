"""A small table of fits for the tests, after the first comparison with public latencies.

IQ-9075, float: measured = 1.007 x estimate + 190 us; w8a8: 1.17 x estimate + 240 us.
"""

from __future__ import annotations

from typing import Any

from snapq.npu.memory import Memory
from snapq.prediction.predict import Predictor
from snapq.prediction.table import Table
from snapq.records import EstimateRecord

LINES: dict[str, tuple[float, float]] = {
    "float": (190.0, 1.007),
    "w8a8": (240.0, 1.17),
    "w8a16": (240.0, 1.2),
}


def fit(precision: str = "w8a8", device: str = "qcs9075", **changes: Any) -> dict[str, Any]:
    offset, factor = LINES[precision]
    values = {
        "device": device,
        "precision": precision,
        "runtime": "onnx",
        "from": "qcs9075",
        "offset_us": offset,
        "factor": factor,
        "low": 0.9,
        "high": 1.12,
        "networks": 12,
        "median_error": 0.05,
        "largest_error": 0.12,
        "coverage": 0.8,
        "estimate_us": [100.0, 50_000.0],
    }
    return values | changes


def table(*fits: dict[str, Any]) -> Table:
    return Table.model_validate(
        {
            "schema_version": "snapq.prediction/1",
            "made_with": {"figures": "a test"},
            "fits": fits or [fit(one) for one in LINES],
        }
    )


def predictor(*fits: dict[str, Any]) -> Predictor:
    return Predictor(Memory(), {}, table(*fits))


def estimate(us: float = 1000.0, label: str = "w8a8", **changes: Any) -> EstimateRecord:
    values: dict[str, Any] = {
        "label": label,
        "device": "qcs9075",
        "estimated_on": "qcs9075",
        "us": us,
        "us_lower": us * 0.9,
        "us_upper": us * 1.1,
        "cycles": round(us * 1000),
        "cycles_lower": round(us * 900),
        "cycles_upper": round(us * 1100),
        "ddr_bytes": {},
        "missing_ops": 0,
        "options": {},
    }
    return EstimateRecord(**(values | changes))
