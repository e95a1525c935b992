"""Parts of a transformer are tried as wholes before any tensor is looked at alone."""

from snapq.evaluation.sqnr import SqnrMeter, sqnr
from snapq.precision import ActivationType, Promotion
from snapq.quantization.analysis.sensitivity import Analysis
from snapq.quantization.mixed_precision.cost import Cost
from snapq.quantization.mixed_precision.mixed import promote
from snapq.quantization.mixed_precision.trials import Evaluation
from snapq.quantization.precision_rules.transformer_parts import transformer_parts
from snapq.quantization.quantize import Scheme, observe
from snapq.stages.quantize.scoring import run_on_cpu
from tests.quantization.hard_models import encoder_with_outliers
from tests.quantization.odd_models import feeds

BUDGET_DB = 30.0


def chosen(cycles):
    """What is taken of an encoder where a model takes so many cycles, and whether tensors were
    looked at alone."""
    model = encoder_with_outliers(1)
    samples, held = feeds(model, 4), feeds(model, 2, seed=9)
    references = list(run_on_cpu(model, samples[:1]))
    known = observe(model, samples)
    analysis = Analysis(model, known, Scheme(), {}, samples[:1], references, run_on_cpu)
    truths, looked = list(run_on_cpu(model, held)), []

    def evaluate(candidate):
        meter = SqnrMeter()
        for truth, found in zip(truths, run_on_cpu(candidate, held), strict=True):
            meter.update(truth, found)
        value = sqnr(1.0, meter.worst())
        return Evaluation(value, value >= BUDGET_DB)

    def sensitivities():
        looked.append(True)
        return ()

    def estimate(candidate):
        return Cost(cycles(candidate), cycles(candidate))

    mixed = promote(
        analysis, sensitivities, (evaluate, evaluate), estimate, (Promotion.UINT16,), thorough=True
    )
    return model, mixed.chosen, bool(looked)


def wide(model):
    """How many tensors a Q/DQ model holds in 16 bits."""
    return sum(
        node.op_type == "QuantizeLinear" and node.inputs[2].dtype.bitwidth == 16
        for node in model.graph
    )


def test_a_part_that_is_enough_and_takes_no_longer_ends_the_search():
    model, found, looked = chosen(lambda _: 100.0)
    assert not looked
    assert found.evaluation.met
    assert not found.whole
    own = {n for n, p in found.scheme.per_node.items() if p.activations is ActivationType.UINT16}
    assert own in [set(names) for names in transformer_parts(model.graph).values()]


def test_tensors_are_looked_at_alone_where_each_part_takes_longer():
    _, found, looked = chosen(lambda candidate: 100.0 + wide(candidate))
    assert looked
    assert found.evaluation.met
