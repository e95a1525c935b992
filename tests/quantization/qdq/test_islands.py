"""Float nodes among quantized ones get casts, in the order of their inputs."""

from snapq.precision import ActivationType
from snapq.quantization.qdq.scheme import NodePrecision
from snapq.quantization.quantize import Scheme, quantize
from tests.quantization.odd_models import Builder, feeds


def test_casts_stand_in_the_order_of_the_inputs():
    b = Builder()
    x = b.feed("x", 1, 4, 6, 6)
    parts = [b.add("Tanh", b.add("Mul", x, b.normal(1, 4, 1, 1))) for _ in range(6)]
    model = b.model(b.add("Sigmoid", b.add("Max", *parts)))
    maximum = next(node for node in model.graph if node.op_type == "Max")
    kept = {str(maximum.name): NodePrecision(activations=ActivationType.FLOAT16)}
    result = quantize(model, feeds(model, 2), Scheme(per_node=kept)).model
    found = next(node for node in result.graph if node.op_type == "Max")
    casts = [node for node in result.graph if node.op_type == "Cast"][:-1]
    assert len(casts) == len(parts)
    assert [value.producer() for value in found.inputs] == casts
