"""Never slower: nodes that integers make slower stay in float, by Qualcomm's own estimate."""

from dataclasses import replace

import pytest

from snapq.devices.profiles import find
from snapq.npu.model import Model
from snapq.precision import ActivationType
from snapq.quantization.mixed_precision.cost import Cost
from snapq.quantization.mixed_precision.never_slower import never_slower
from snapq.quantization.quantize import Scheme, observe, quantize
from tests.quantization.hard_models import backbone_and_small_prelu_head
from tests.quantization.odd_models import feeds

pytestmark = [pytest.mark.npu, pytest.mark.slow]


def estimate(model):
    found = Model(model, find("qcs9075")).estimate_nodes()
    return Cost(found.total.cycles, found.total.us, found.cycles)


def raced(model, activations, estimate=estimate):
    known = observe(model, feeds(model, 2))
    scheme = Scheme(activations=activations, architecture=73)

    def make(nodes):
        return quantize(model, None, replace(scheme, per_node=nodes), known=known)

    return never_slower(model, make({}), make, estimate)


def test_only_what_costs_stays_in_float_where_the_rest_gains_from_integers():
    found = raced(backbone_and_small_prelu_head(), ActivationType.UINT16)
    assert found.first.cycles > found.float_cost.cycles
    assert found.cost.cycles < found.float_cost.cycles
    assert not found.everything
    assert any("prelu" in name for name in found.floats)
    assert not any("conv_0" in name or "conv_2" in name for name in found.floats)


@pytest.mark.parametrize(("missing", "tried"), [(0, True), (3, False)])
def test_a_float_model_whose_estimate_lacks_operators_is_not_said_to_be_faster(missing, tried):
    def lacking(model):
        quantized = any(node.op_type == "QuantizeLinear" for node in model.graph)
        return Cost(70.0, 70.0) if quantized else Cost(60.0, 60.0, missing=missing)

    found = raced(backbone_and_small_prelu_head(), ActivationType.UINT8, lacking)
    assert (len(found.attempts) > 1) == tried
    assert found.everything == tried
