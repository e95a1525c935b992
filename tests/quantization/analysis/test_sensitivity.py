"""Sensitivity: which layers are sensitive is found, and named with its cause."""

import numpy as np
import pytest

from snapq.devices.profiles import find
from snapq.quantization.analysis import sensitivity
from snapq.quantization.analysis.sensitivity import Analysis, Kind
from snapq.quantization.quantize import Scheme, observe
from snapq.records import Origin
from snapq.stages.quantize.scoring import run_on_cpu, runner
from tests.quantization.hard_models import encoder_with_outliers
from tests.quantization.odd_models import MODELS, feeds

FROM_CHANGES = ("transformer_block", "shared_weights")


def analysis_of(model, run=run_on_cpu, count=4):
    samples = feeds(model, count)
    references = list(run_on_cpu(model, samples))
    known = observe(model, samples)
    return Analysis(model, known, Scheme(architecture=73), {}, samples, references, run)


@pytest.fixture(scope="module")
def outliers():
    return analysis_of(encoder_with_outliers())


def test_the_residual_with_the_outlier_channel_is_the_worst_tensor_and_the_clause_says_why(
    outliers,
):
    found = sensitivity.analyze_tensors(outliers)
    worst = max(found, key=lambda one: one.noise)
    assert worst.kind is Kind.ACTIVATION
    assert worst.op_type == "Add"
    assert "of its values lie between" in worst.cause


def test_the_worst_node_is_told_with_its_worst_tensor(outliers):
    sensitivities = sensitivity.explain(outliers, sensitivity.analyze_nodes(outliers), 3)
    explained = [one for one in sensitivities if one.cause]
    assert len(explained) == 3
    worst = max(sensitivities, key=lambda one: one.noise)
    assert worst.op_type in {"Add", "LayerNormalization"}
    assert "mostly its activation" in worst.cause
    assert "of its values lie between" in worst.cause


def test_noises_of_single_tensors_add_up_to_that_of_the_whole_model():
    analysis = analysis_of(MODELS["transformer_block"]())
    parts = sum(one.noise for one in sensitivity.analyze_tensors(analysis))
    whole = analysis.noise(analysis.quantized(analysis.scheme).model)
    assert abs(10 * np.log10(parts / whole)) < 2.0


def test_a_model_in_which_nothing_is_lost_has_no_noise():
    analysis = analysis_of(MODELS["transformer_block"]())
    assert analysis.noise(analysis.model) < 1e-10


@pytest.mark.parametrize("name", FROM_CHANGES)
def test_from_where_it_differs_from_float_a_model_gives_what_it_gives_as_a_whole(name):
    whole = analysis_of(MODELS[name](), count=2)
    resumed = whole.from_changes()
    pairs = [sensitivity.analyze_nodes(one) for one in (whole, resumed)]
    assert pairs[0]
    for one, other in zip(*pairs, strict=True):
        assert one.name == other.name
        assert other.noise == pytest.approx(one.noise, rel=0.05, abs=1e-9)


def test_the_simulator_agrees_on_which_of_two_nodes_is_more_sensitive():
    model = MODELS["squeeze_excite_and_residual"]()
    on_cpu = analysis_of(model)
    sensitivities = sorted(sensitivity.analyze_nodes(on_cpu), key=lambda one: one.noise)
    simulated = analysis_of(model, runner(Origin.SIMULATED, find("qcs9075")), count=2)
    few, most = (
        simulated.noise(sensitivity.only(simulated, sensitivities[i].name)) for i in (0, -1)
    )
    assert few < most
