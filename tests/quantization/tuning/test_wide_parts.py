"""Parts of a transformer get 16 bits where that is nearer to float and takes no longer."""

from dataclasses import replace

import numpy as np
import pytest

from snapq.precision import ActivationType
from snapq.quantization.lint.run import lint
from snapq.quantization.precision_rules.transformer_parts import PARTS, transformer_parts
from snapq.quantization.qdq.scheme import NodePrecision, Scheme
from snapq.quantization.tuning.algorithms.base import algorithm
from snapq.quantization.tuning.judges import Judges
from snapq.quantization.tuning.presets import Recipe, tuning
from snapq.quantization.tuning.price import Price
from snapq.quantization.tuning.score import Score
from tests.quantization.hard_models import encoder_with_outliers
from tests.quantization.odd_models import feeds
from tests.quantization.tuning.test_wide_outputs import study, two_heads

STEPS = tuple(f"wide-{part}" for part in PARTS)


def tuned(time):
    model = encoder_with_outliers(1)
    return tuning(
        model, feeds(model, 8), Scheme(), Recipe(algorithms=STEPS), judges=Judges(time=time)
    )


def wide(model):
    """How many tensors a Q/DQ model holds in 16 bits."""
    return sum(
        node.op_type == "QuantizeLinear" and node.inputs[2].dtype.bitwidth == 16
        for node in model.graph
    )


def test_parts_that_take_no_longer_bring_an_encoder_with_outliers_back_from_nothing():
    found = tuned(lambda _: 100.0)
    assert found.decibels > 33
    assert "wide-sums" in found.notes[0].text
    assert lint(found.study.built.model, 73) == ()
    plain = tuned(None)
    assert plain.decibels < 15
    assert not any("wide" in note.text for note in plain.notes)


def test_parts_that_take_longer_are_dropped_with_both_times():
    found = tuned(lambda model: 100.0 + 2 * wide(model))
    assert wide(found.study.built.model) == 0
    assert "by the estimate, 100 without any" in found.notes[0].text


def test_a_part_that_is_dropped_for_its_time_is_part_of_the_next():
    model = encoder_with_outliers(1)
    names = transformer_parts(model.graph)
    few = len(names["sums"])
    found = tuned(lambda one: 200.0 if 0 < wide(one) <= few else 100.0)
    assert "wide-sums" in found.notes[0].text
    assert found.study.scheme.per_node.keys() >= names["attention"] > names["sums"]


@pytest.mark.parametrize(
    "scheme", [Scheme(activations=ActivationType.UINT16), Scheme(keep_wide=False)]
)
def test_there_is_nothing_to_widen_where_all_is_wide_or_rules_are_off(scheme):
    assert algorithm("wide-sums")(study(encoder_with_outliers(1), scheme)) is None
    assert algorithm("wide-sums")(study(two_heads(), Scheme())) is None


def test_what_the_user_said_of_a_node_stays():
    model = encoder_with_outliers(1)
    name = next(str(node.name) for node in model.graph if node.op_type == "LayerNormalization")
    own = NodePrecision(activations=ActivationType.UINT8)
    given = study(model, replace(Scheme(), per_node={name: own}))
    changed = algorithm("wide-sums")(given)
    assert changed.scheme.per_node[name] is own


@pytest.mark.parametrize(("gained", "kept"), [(1.0, False), (10.0, True)])
def test_a_part_may_take_a_little_longer_for_much_that_it_gains(gained, kept):
    plain, times = study(two_heads(), Scheme()), iter([100.0, 103.0])
    price = Price(lambda _: next(times), plain)
    usable = Score(np.array([[100.0]]), np.array([[1.0]]))
    assert (price.refuses(replace(plain), usable, gained) is None) is kept
