"""Mixed precision: few nodes at a higher precision win back what outliers cost, in little time."""

import numpy as np
import onnx_ir as ir
import pytest

from snapq.devices.profiles import find
from snapq.errors import QnnError
from snapq.evaluation.sqnr import SqnrMeter, sqnr
from snapq.npu.model import Model
from snapq.precision import ActivationType, Promotion, WeightType
from snapq.quantization.analysis.sensitivity import (
    Analysis,
    Kind,
    analyze_tensors,
)
from snapq.quantization.mixed_precision.cost import Cost
from snapq.quantization.mixed_precision.mixed import promote
from snapq.quantization.mixed_precision.trials import Evaluation
from snapq.quantization.quantize import Scheme, observe
from snapq.records import Origin
from snapq.stages.quantize.scoring import (
    run_on_cpu,
    runner,
)
from tests.quantization.hard_models import convolutions_and_encoder
from tests.quantization.odd_models import feeds

pytestmark = [pytest.mark.npu, pytest.mark.slow]

DEVICE = find("qcs9075")
BUDGET_DB = 30.0
KINDS = (Promotion.INT8, Promotion.UINT16, Promotion.FLOAT16)


def estimate(model):
    found = Model(model, DEVICE).estimate_nodes()
    return Cost(found.total.cycles, found.total.us, found.cycles)


@pytest.fixture(scope="module")
def mixed():
    model = convolutions_and_encoder()
    samples, held = feeds(model, 4), feeds(model, 2, seed=9)
    known = observe(model, samples)
    references = list(run_on_cpu(model, samples[:2]))
    analysis = Analysis(
        model, known, Scheme(architecture=73), {}, samples[:2], references, run_on_cpu
    )
    truths = list(run_on_cpu(model, held))

    def evaluator(run):
        def evaluate(candidate):
            meter = SqnrMeter()
            for truth, found in zip(truths, run(candidate, held), strict=True):
                meter.update(truth, found)
            value = sqnr(1.0, meter.worst())
            return Evaluation(value, value >= BUDGET_DB)

        return evaluate

    evaluators = (evaluator(run_on_cpu), evaluator(runner(Origin.SIMULATED, DEVICE)))
    return promote(analysis, lambda: analyze_tensors(analysis), evaluators, estimate, KINDS)


def test_a_few_nodes_win_back_what_outliers_cost_on_the_simulator_in_little_estimated_time(mixed):
    base, chosen = mixed.trials[0], mixed.chosen
    assert base.evaluation.value < 25
    assert chosen.proved
    assert chosen.evaluation.value >= BUDGET_DB
    assert 0 < len(chosen.nodes) <= 6
    assert chosen.cost.cycles < 1.1 * base.cost.cycles


def test_the_mix_is_faster_than_the_whole_model_at_either_higher_precision(mixed):
    wholes = [trial for trial in mixed.trials if trial.whole]
    assert {trial.to for trial in wholes} == {Promotion.UINT16, Promotion.FLOAT16}
    assert all(mixed.chosen.cost.cycles < trial.cost.cycles for trial in wholes)


def test_no_candidate_that_keeps_the_budget_is_faster(mixed):
    kept = [trial for trial in mixed.trials if trial.proved and trial.evaluation.met]
    assert mixed.chosen.cost.cycles == min(trial.cost.cycles for trial in kept)
    assert np.all([trial.evaluation.value >= BUDGET_DB for trial in kept])


def test_four_bit_weights_that_hurt_get_eight_and_activations_stay():
    model = convolutions_and_encoder()
    samples = feeds(model, 4)
    scheme = Scheme(WeightType.INT4, ActivationType.UINT16, architecture=73)
    truths = list(run_on_cpu(model, samples))
    analysis = Analysis(
        model, observe(model, samples), scheme, {}, samples[:2], truths[:2], run_on_cpu
    )

    def evaluator(candidate):
        meter = SqnrMeter()
        for truth, found in zip(truths, run_on_cpu(candidate, samples), strict=True):
            meter.update(truth, found)
        value = sqnr(1.0, meter.worst())
        return Evaluation(value, value >= BUDGET_DB)

    sensitivities = analyze_tensors(analysis)
    found = promote(analysis, lambda: sensitivities, (evaluator, evaluator), None, KINDS)
    chosen = found.chosen
    assert not found.trials[0].evaluation.met
    assert chosen.to is Promotion.INT8
    assert chosen.evaluation.met
    assert not chosen.whole
    precisions = {chosen.scheme.precision(name) for name in chosen.nodes}
    assert precisions == {(WeightType.INT8, ActivationType.UINT16)}
    weights = [sensitivity for sensitivity in sensitivities if sensitivity.kind is Kind.WEIGHT]
    assert 0 < len(chosen.nodes) < len(weights)


@pytest.mark.parametrize(("missing", "label"), [(0, "uint16"), (3, None)])
def test_an_estimate_that_lacks_operators_makes_nothing_faster(missing, label):
    model = convolutions_and_encoder()
    samples = feeds(model, 2)
    truths = list(run_on_cpu(model, samples))
    analysis = Analysis(
        model, observe(model, samples), Scheme(architecture=73), {}, samples, truths, run_on_cpu
    )

    def estimate(candidate):
        wide = any(
            value.dtype is ir.DataType.UINT16 for node in candidate.graph for value in node.outputs
        )
        return Cost(60.0, 60.0, missing=missing) if wide else Cost(70.0, 70.0)

    def good(candidate):
        return Evaluation(40.0, True)

    found = promote(
        analysis, lambda: (), (good, good), estimate, (Promotion.UINT16,), thorough=True
    )
    assert len(found.trials) == 2
    assert (found.chosen.to and found.chosen.to.value) == label


def test_what_the_npu_does_not_take_is_no_candidate():
    model = convolutions_and_encoder()
    samples = feeds(model, 2)
    truths = list(run_on_cpu(model, samples))
    analysis = Analysis(
        model, observe(model, samples), Scheme(architecture=73), {}, samples, truths, run_on_cpu
    )

    def evaluator(candidate):
        quantizers = sum(node.op_type == "QuantizeLinear" for node in candidate.graph)
        return Evaluation(float(quantizers == 0), quantizers == 0)

    def refusing(candidate):
        if all(node.op_type != "QuantizeLinear" for node in candidate.graph):
            raise QnnError("The NPU lacks a kernel.", where="node")
        return Cost(float(len(candidate.graph)), 1.0)

    found = promote(analysis, lambda: (), (evaluator, evaluator), refusing, KINDS)
    (refused,) = (trial for trial in found.trials if trial.refused is not None)
    assert refused.to is Promotion.FLOAT16
    assert refused.refused == "The NPU lacks a kernel."
    assert found.chosen is not refused
    assert not found.chosen.evaluation.met
