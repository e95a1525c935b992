"""Recurrent layers of few steps become products and gates that compute the same."""

from __future__ import annotations

from itertools import product

import pytest

from tests.graph.models import prepared_from

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
RECURRENT = set(GATES)
STEPS, BATCH, INPUT, HIDDEN = 3, 2, 4, 5


def layer(
    kind: str, direction: str, *, stateful: bool, steps: int = STEPS, attributes: str = ""
) -> str:
    """A model with one recurrent layer, all of whose outputs are the model's."""
    count, rows = (2 if direction == "bidirectional" else 1), GATES[kind] * HIDDEN
    state = f"float[{count},{BATCH},{HIDDEN}]"
    inputs, outputs, given = f"float[{steps},{BATCH},{INPUT}] x", "", ""
    if stateful:
        inputs, given = f"{inputs}, {state} h0", ", no_lengths, h0"
    outputs = f"float[{steps},{count},{BATCH},{HIDDEN}] all, {state} h"
    made = "all, h"
    if kind == "LSTM":
        outputs, made = f"{outputs}, {state} c", "all, h, c"
        if stateful:
            inputs, given = f"{inputs}, {state} c0", f"{given}, c0"
    weights = (
        f"float[{count},{rows},{INPUT}] w, float[{count},{rows},{HIDDEN}] w1, "
        f"float[{count},{2 * rows}] w2"
    )
    options = f'hidden_size = {HIDDEN}, direction = "{direction}"{attributes}'
    given = given.replace("no_lengths", "")
    return (
        f"({inputs}, {weights}) => ({outputs}) {{ {made} = {kind} <{options}> (x, w, w1, w2{given})"
        " }"
    )


@pytest.mark.parametrize(
    ("kind", "direction", "stateful"),
    list(product(GATES, ("forward", "reverse", "bidirectional"), (False, True))),
)
def test_a_short_layer_is_unrolled(kind: str, direction: str, stateful: bool) -> None:
    _, operators = prepared_from(layer(kind, direction, stateful=stateful))
    assert not RECURRENT & set(operators)


@pytest.mark.parametrize("stateful", [False, True])
def test_a_gru_that_resets_after_its_product_is_unrolled(stateful: bool) -> None:
    text = layer("GRU", "forward", stateful=stateful, attributes=", linear_before_reset = 1")
    _, operators = prepared_from(text)
    assert "GRU" not in operators


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_long_layer_stays_one_operator(kind: str) -> None:
    _, operators = prepared_from(layer(kind, "forward", stateful=True, steps=30))
    assert operators == [kind]
