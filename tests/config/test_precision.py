"""`precision` is short for types of weights and activations, or a goal to search for."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from snapq.config import QuantizeConfig
from snapq.config.schema.quantize import DEFAULT_GOAL_DB, PRECISIONS
from snapq.precision import ActivationType, WeightType, precision_name
from tests.config.conftest import VALID, Load


@pytest.mark.parametrize("name", [name for name in PRECISIONS if name != "auto"])
def test_a_short_name_is_that_of_its_types(name: str) -> None:
    options = QuantizeConfig(precision=name)
    assert precision_name(options.weights, options.activations) == name
    assert options.budget is None
    assert QuantizeConfig.model_validate(options.model_dump(mode="json")) == options


def test_auto_begins_at_8_bits_and_has_a_goal() -> None:
    options = QuantizeConfig(precision="auto")
    assert (options.weights, options.activations) == (WeightType.INT8, ActivationType.UINT8)
    assert options.budget is not None
    assert options.budget.min_sqnr_db == DEFAULT_GOAL_DB
    chosen = QuantizeConfig(precision="auto", goal={"max_drop": 0.01, "samples": 8}).budget
    assert chosen is not None
    assert (chosen.max_drop, chosen.min_sqnr_db, chosen.samples) == (0.01, None, 8)
    assert QuantizeConfig.model_validate(options.model_dump(mode="json")) == options


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"precision": "w8a16", "activations": "uint8"}, "says what `activations` says"),
        ({"precision": "auto", "weights": "int4"}, "says what `weights` says"),
        (
            {"precision": "auto", "mixed_precision": {"max_drop": 0}},
            "says what `mixed_precision` says",
        ),
        ({"precision": "w8a8", "goal": {"max_drop": 0}}, "`goal` belongs to `precision: auto`"),
        ({"goal": {"max_drop": 0}}, "`goal` belongs to `precision: auto`"),
        ({"precision": "auto", "goal": {}}, "exactly one"),
        ({"precision": "auto", "encodings": "a.json"}, "`precision: auto` would choose it"),
        ({"precision": "w3a3"}, "'auto', 'w8a8'"),
    ],
)
def test_contradictions_are_refused(given: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        QuantizeConfig.model_validate(given)


def test_lists_beside_a_short_name_are_read(load_text: Load) -> None:
    text = VALID.replace(
        "{weights: int8, activations: uint8}",
        "{precision: w8a16, overrides: [{nodes: [a, b], keep: float}]}",
    )
    options = load_text(text).stages[0].options
    assert isinstance(options, QuantizeConfig)
    assert (options.activations, options.overrides[0].nodes) == (ActivationType.UINT16, ("a", "b"))
