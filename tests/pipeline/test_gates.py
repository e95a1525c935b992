"""Each gate judges its figure, for all or for one device or output, and fails without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snapq import api
from snapq.benchmarking.targets.local_records import Timed, local_records
from snapq.config import BenchmarkConfig, Gates
from snapq.devices.profiles import find
from snapq.errors import ConfigError
from snapq.pipeline.gates import Evaluated, check
from snapq.records import BundleDeviceRecord, Figures, GateRecord, Origin
from snapq.records.bench import BenchRecord
from tests.report.report_records import file, realistic

DEVICES = [find("qcs9075"), find("sm8650")]


def figures(**changes: Any) -> Figures:
    run = realistic()
    return Figures(**{name: getattr(run, name) for name in Figures.model_fields} | changes)


def judged(gates: Gates, **changes: Any) -> dict[str, GateRecord]:
    bundle = realistic().bundle_files
    evaluated = Evaluated(figures(**changes), DEVICES, "w8a8", bundle)
    return {one.name: one for one in check(gates, evaluated)}


def bench(where: Origin = Origin.MEASURED, runs: int = 200, ms: float = 5.0) -> BenchRecord:
    samples = np.random.default_rng(0).normal(ms, ms / 50, (runs // 10, 10))
    timed = Timed("w8a8", Path(__file__), samples, create_ms=1.0, first_ms=1.0, peak_rss_bytes=1)
    (record,) = local_records([timed], BenchmarkConfig(min_runs=1), ())
    count = 5_000_000 if where is Origin.EMULATED else None
    return record.model_copy(update={"where": where, "instructions": count})


@pytest.mark.parametrize(
    ("gates", "passed"),
    [
        ({"max_estimated_us": 233.0}, True),
        ({"max_estimated_us": 200.0}, False),
        ({"max_bundle_mb": 15.2}, True),
        ({"max_bundle_mb": 15.0}, False),
        ({"max_compiled_mb": 5.2}, True),
        ({"max_compiled_mb": 5.1}, False),
        ({"min_sqnr_db": {"probabilities": 24.0}}, True),
        ({"min_sqnr_db": {"probabilities": 25.0}}, False),
        ({"max_accuracy_drop": {"qcs9075": 0.01}}, True),
        ({"max_accuracy_drop": {"QCS9075": 0.001}}, False),
        ({"max_estimated_us": {"sm8650": 233.0}}, True),
        ({"npu_nodes": {"sm8650": 0.5}}, True),
        ({"min_estimated_speedup": {"sm8650": 5.0}}, False),
        ({"max_predicted_ms": {"qcs9075": 0.52}}, True),
        ({"max_predicted_ms": {"qcs9075": 0.51}}, False),
        ({"max_predicted_ms": 10}, False),
        ({"min_predicted_speedup": 2.0}, True),
        ({"min_predicted_speedup": {"QCS9075": 2.1}}, False),
        ({"min_predicted_speedup": {"sm8650": 1.0}}, False),
    ],
)
def test_a_gate_judges_its_figure(gates: dict[str, Any], passed: bool) -> None:
    found = judged(Gates(**gates))
    assert all(one.passed for one in found.values()) == passed
    assert all(one.found for one in found.values())


@pytest.mark.parametrize(
    ("gates", "changes", "said"),
    [
        ({}, {"collapsed": "one value"}, "one value at "),
        ({}, {"collapsed": "4.2 dB"}, "4.2 dB at "),
        ({"max_accuracy_drop": 1.0}, {"collapsed": "4.2 dB"}, "4.2 dB at "),
        ({"min_sqnr_db": -1}, {"collapsed": "4.2 dB"}, None),
        ({}, {"collapsed": "4.2 dB", "random_inputs": True}, None),
        ({}, {"collapsed": "4.2 dB", "behind_cut": True}, None),
        ({}, {}, None),
    ],
)
def test_a_lost_output_fails_unless_a_limit_allows_it(
    gates: dict[str, Any], changes: dict[str, Any], said: str | None
) -> None:
    lost = [one.model_copy(update=changes) for one in realistic().fidelity]
    found = judged(Gates(**gates), fidelity=tuple(lost))
    failed = [one.found for one in found.values() if not one.passed]
    assert len(failed) == (said is not None)
    assert all(one.startswith(str(said)) and "simulated" in one for one in failed)


def test_class_numbers_do_not_count_as_signals_where_real_outputs_do() -> None:
    (logits, *_) = realistic().fidelity
    classes = logits.model_copy(
        update={"output": "classes", "agreement": 0.99, "sqnr_db": logits.sqnr_db - 20}
    )
    found = judged(Gates(min_sqnr_db=logits.sqnr_db - 1), fidelity=(logits, classes))
    assert found["min_sqnr_db"].passed


def test_each_name_has_a_gate_of_its_own() -> None:
    found = judged(Gates(max_estimated_us={"qcs9075": 100.0, "sm8650": 300.0}))
    assert {name: one.passed for name, one in found.items()} == {
        "max_estimated_us.qcs9075": False,
        "max_estimated_us.sm8650": True,
    }
    assert "by the estimate of qcs9075" in found["max_estimated_us.sm8650"].found


def test_devices_that_npu_nodes_does_not_name_keep_all_on_the_npu() -> None:
    places = [
        one.model_copy(update={"npu": 60, "cpu": 4} if one.device == "qcs9075" else {})
        for one in realistic().placements
    ]
    found = judged(Gates(npu_nodes={"sm8650": 0.5}), placements=tuple(places))
    assert [name for name, one in found.items() if not one.passed] == ["npu_nodes.qcs9075"]


def test_an_estimate_that_lacks_costs_of_operators_proves_nothing() -> None:
    low = tuple(one.model_copy(update={"missing_ops": 2}) for one in realistic().estimates)
    (gate,) = judged(Gates(max_estimated_us=1e6), estimates=low).values()
    assert (gate.passed, "2 operators have no cost" in gate.found) == (False, True)


@pytest.mark.parametrize(
    ("limit", "record", "passed", "said"),
    [
        (5.5, bench(), True, "(measured, 200 runs)"),
        (4.5, bench(), False, "5 ms"),
        ({"p99": 5.5}, bench(), True, "ms on local"),
        ({"p50": 5.5, "p99": 5.01}, bench(), False, "ms on local"),
        (100, bench(runs=50), False, "not a claim: only 50 runs"),
        (100, bench(Origin.EMULATED), False, "no such figure"),
    ],
)
def test_latency_is_judged_where_it_was_measured_often_enough(
    limit: float, record: BenchRecord, passed: bool, said: str
) -> None:
    found = judged(Gates(max_latency_ms=limit), benches=(record,)).values()
    assert all(one.passed for one in found) == passed
    assert any(said in one.found for one in found)


def test_a_limit_that_a_busy_machine_keeps_is_kept() -> None:
    slow = bench()
    busy = slow.valid.model_copy(
        update={"ok": False, "reasons": ("the spread is wide, p90 is 2.00 times the median",)}
    )
    benches = (slow.model_copy(update={"valid": busy}),)
    assert judged(Gates(max_latency_ms=100), benches=benches)["max_latency_ms"].passed


def test_instructions_are_judged_where_they_were_counted() -> None:
    counted = (bench(Origin.EMULATED, runs=30),)
    assert judged(Gates(max_instructions=5_000_000), benches=counted)["max_instructions"].passed
    (gate,) = judged(Gates(max_instructions=4_999_999), benches=counted).values()
    assert (gate.passed, gate.found) == (False, "5,000,000 on local (emulated)")
    assert not judged(Gates(max_instructions=10**9), benches=(bench(),))["max_instructions"].passed


@pytest.mark.parametrize(
    "gates",
    [
        {"max_estimated_us": 1e9},
        {"max_latency_ms": 1e9},
        {"max_instructions": 10**15},
        {"max_compiled_mb": 1e9},
        {"min_sqnr_db": {"boxes": -100.0}},
        {"max_accuracy_drop": {"boxes": 100.0}},
    ],
)
def test_a_gate_without_its_figure_fails(gates: dict[str, Any]) -> None:
    nothing = {"estimates": (), "benches": (), "bundle": ()}
    (gate,) = judged(Gates(**gates), **nothing).values()
    assert (gate.passed, gate.found) == (False, "nothing: the run has no such figure")


def test_the_device_with_the_largest_binary_is_named() -> None:
    small, large = realistic().bundle
    large = BundleDeviceRecord(**large.model_dump() | {"files": (file("x.bin", 9_000_000),)})
    (gate,) = judged(Gates(max_compiled_mb=8), bundle=(small, large)).values()
    assert (gate.passed, gate.found) == (False, "9.000 MB on sm8650")


@pytest.mark.parametrize(
    ("gates", "said"),
    [
        ("{min_sqnr_db: {logit: 20}}", "Did you mean 'logits'?"),
        ("{npu_nodes: {sm8560: all}}", "Did you mean 'sm8650'?"),
        ("{max_compiled_mb: {logits: 2}}", "no device `logits`"),
        ("{max_accuracy_drop: {logits: 0.1}}", "metric: {logits: top1}"),
    ],
)
def test_a_limit_for_what_the_run_has_not_is_refused(project: Path, gates: str, said: str) -> None:
    with pytest.raises(ConfigError, match="gates") as caught:
        api.check(api.load(project / "deploy.yaml", [f"gates={gates}"]))
    assert said in str(caught.value)


def test_a_predicted_gate_names_the_interval_and_the_error() -> None:
    found = judged(Gates(max_predicted_ms={"qcs9075": 1}, min_predicted_speedup=1))
    latency = found["max_predicted_ms.qcs9075"].found
    assert latency.startswith("0.512 ms (0.461 to 0.573 ms) on qcs9075 (predicted, 80 % interval")
    assert "from 42 networks, median error 5 %, largest 31 %" in latency
    ratio = found["min_predicted_speedup"].found
    assert ratio.startswith("2.08x (1.77 to 2.44) over fp16 same boundary on qcs9075")


def test_a_device_without_a_prediction_fails_the_gate_with_the_reason() -> None:
    one = judged(Gates(max_predicted_ms=10))["max_predicted_ms"]
    assert one.found == "nothing: no prediction for sm8650, no latencies of sm8650 are public"


def test_chips_without_fp16_have_no_speed_up_over_it() -> None:
    evaluated = Evaluated(figures(speedups=()), [find("qcs6490")], "w8a8", ())
    gates = Gates(min_estimated_speedup=1, min_predicted_speedup=1)
    outcomes = check(gates, evaluated)
    assert len(outcomes) == 2
    for one in outcomes:
        assert not one.passed
        assert "qcs6490 has no fp16 to be faster than" in one.found
