"""What a scheme becomes where all of a model is promoted."""

from snapq.precision import ActivationType, Promotion, WeightType
from snapq.quantization.mixed_precision.promotions import whole
from snapq.quantization.qdq.scheme import NodePrecision, Scheme, Source


def test_all_in_fp16_keeps_no_integers_but_those_that_the_user_asked_for():
    wide = NodePrecision(activations=ActivationType.UINT16, source=Source.RULE)
    asked = NodePrecision(activations=ActivationType.UINT16)
    small = NodePrecision(weights=WeightType.INT4, source=Source.ESTIMATE)
    scheme = Scheme(per_node={"cell": wide, "asked": asked, "small": small})
    assert whole(scheme, Promotion.UINT16).per_node == scheme.per_node
    raised = whole(scheme, Promotion.FLOAT16)
    assert raised.activations is ActivationType.FLOAT16
    assert raised.per_node == {"asked": asked, "small": small}
