"""A prediction says what it rests on, and is none where it rests on nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snapq.devices.profiles import all_profiles, find
from snapq.npu.model import Source
from snapq.prediction.calibration import Calibration
from snapq.prediction.network import Features, Kind
from snapq.prediction.predict import predicted_speedup
from snapq.prediction.table import packaged
from snapq.records import Origin, PredictionRecord
from tests.graph.models import build
from tests.prediction.fits import estimate, fit, predictor
from tests.prediction.test_features import ATTENTION, CONV

W8A8 = Features(("w8a8",), Kind.CONVOLUTIONAL, 150_000, 60, 500_000_000)
QCS9075 = find("qcs9075")


def predicted(known: Features = W8A8, us: float = 1000.0, **changes: object) -> PredictionRecord:
    model = Source(build(CONV))
    return predictor().predict(model, estimate(us, **changes), QCS9075, known=known)


def test_a_prediction_is_the_line_over_the_estimate_with_its_interval_and_its_error() -> None:
    found = predicted()
    assert found.us == pytest.approx(240 + 1.17 * 1000)
    assert (found.us_lower, found.us_upper) == pytest.approx((1410 * 0.9, 1410 * 1.12))
    assert found.value == "1.41 ms (1.27 to 1.58 ms)"
    assert found.basis == "from 12 networks, median error 5 %, largest 12 %"
    assert "predicted through ONNX Runtime, 80 % interval" in found.sentence


def test_what_else_is_known_of_a_network_counts_where_the_fit_has_it() -> None:
    line = fit(per_boundary_mb_us=100, per_ddr_mb_us=50, per_node_us=1, per_gmac_us=200)
    line["per_normalized_million_us"] = 1000
    given = estimate(ddr_bytes={"Input Fill": 2_000_000})
    known = replace(W8A8, normalized=150_000)
    found = predictor(line).predict(Source(build(CONV)), given, QCS9075, known=known)
    assert found.us == pytest.approx(1410 + 15 + 100 + 60 + 100 + 150)


@pytest.mark.parametrize(
    ("known", "device", "changes", "reason"),
    [
        (W8A8, "qcs9075", {"missing_ops": 2}, "2 operators have no cost in the estimate"),
        (W8A8, "sar2230p", {}, "no latencies of sar2230p are public"),
        (replace(W8A8, kind=Kind.RECURRENT), "qcs9075", {}, "recurrent layers"),
        (replace(W8A8, precisions=("4-bit weights",)), "qcs9075", {}, "4-bit weights"),
        (replace(W8A8, precisions=("w16a16",)), "qcs9075", {}, "at w16a16 are public"),
        (replace(W8A8, precisions=()), "qcs9075", {}, "no layers"),
    ],
)
def test_there_is_no_prediction_where_nothing_public_says_so(
    known: Features, device: str, changes: dict[str, int], reason: str
) -> None:
    given = estimate(**changes)
    found = predictor().predict(Source(build(CONV)), given, find(device), known=known)
    assert found.us is None
    assert reason in found.reason
    assert found.sentence.startswith("no prediction: ")


def test_layers_of_two_precisions_get_the_interval_of_both() -> None:
    both = predicted(replace(W8A8, precisions=("w8a8", "w8a16")))
    one, other = predicted(), predicted(replace(W8A8, precisions=("w8a16",)))
    assert both.interval_ms is not None
    assert one.interval_ms is not None
    assert other.interval_ms is not None
    assert both.interval_ms[0] == min(one.interval_ms[0], other.interval_ms[0])
    assert both.interval_ms[1] == max(one.interval_ms[1], other.interval_ms[1])
    assert "w8a8 and w8a16" in both.remarks[-1]


def test_the_fit_of_the_models_kind_comes_before_that_of_all() -> None:
    lines = [fit(), fit(kind="transformer", factor=2.0)]
    known = replace(W8A8, kind=Kind.TRANSFORMER)
    found = predictor(*lines).predict(Source(build(ATTENTION)), estimate(), QCS9075, known=known)
    assert found.us == pytest.approx(2240)


def test_a_network_unlike_all_of_the_fit_gets_a_wider_interval_and_a_word_of_it() -> None:
    inside, smaller, larger = predicted(us=100), predicted(us=5), predicted(us=500_000)
    assert inside.remarks == ()
    assert "this one at 5:" in smaller.remarks[0]
    for one in (smaller, larger):
        assert min(one.spread) > 1.2 * max(inside.spread)
    assert smaller.us_upper is not None
    assert inside.us_upper is not None
    assert smaller.us_upper < inside.us_upper, "no longer than a larger network"


def test_the_fastest_runtime_of_all_is_named_where_onnx_runtimes_latency_is_not_public() -> None:
    found = predictor(fit(runtime="best")).predict(
        Source(build(CONV)), estimate(), QCS9075, known=W8A8
    )
    assert found.through == "the fastest of Qualcomm's runtimes"
    assert "not public" in found.remarks[0]
    both = predictor(fit(runtime="best"), fit()).predict(
        Source(build(CONV)), estimate(), QCS9075, known=W8A8
    )
    assert both.through == "ONNX Runtime"


@pytest.mark.npu
def test_by_transfer_the_model_is_estimated_on_the_chip_that_the_fit_reads() -> None:
    source, device = Source(build(CONV)), find("sm8850")
    line = fit("float", "sm8850", **{"from": "qcs9075"})
    given = estimate(5000, "fp16", device="sm8850", estimated_on="sa8797p")
    found = predictor(line).predict(source, given, device)
    assert found.estimated_on == "qcs9075"
    assert found.estimate_us is not None
    assert found.estimate_us < 1000, "a small model, and not what the other chip takes"
    assert "by transfer from qcs9075" in found.basis


def test_a_speed_up_is_smaller_than_the_accelerators_and_has_an_interval() -> None:
    base = predicted(replace(W8A8, precisions=("float",)), 870.0, label="fp16 prepared")
    package = predicted(us=233.0)
    found = predicted_speedup(base, package)
    assert found is not None
    assert found.where is Origin.PREDICTED
    assert found.value < 870 / 233
    assert found.interval is not None
    assert found.interval[0] < found.value < found.interval[1]
    assert predicted_speedup(base, predicted(missing_ops=1)) is None


def test_a_calibrated_prediction_says_on_what_and_keeps_the_published_one() -> None:
    own = {"qcs9075": Calibration("bench-1", 6, 20.0, 1.2, 0.05)}
    found = replace(predictor(), calibrations=own).predict(
        Source(build(CONV)), estimate(), QCS9075, known=W8A8
    )
    assert found.us == pytest.approx(1.2 * 1410 + 20)
    assert found.published_us == pytest.approx(1410)
    assert "calibrated on 6 of your measurements on bench-1" in found.basis


def test_every_fit_of_the_package_is_of_known_devices_and_has_an_honest_interval() -> None:
    names = {one.name: one for one in all_profiles()}
    for one in packaged().fits:
        assert one.device in names
        assert names[one.source].has_estimate
        assert one.low < 1 < one.high
        assert one.precision != "float" or "fp16" in names[one.device].precisions
    made = [(one.device, one.precision, one.runtime, one.kind) for one in packaged().fits]
    assert len(made) == len(set(made))
