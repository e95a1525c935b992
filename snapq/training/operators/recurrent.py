"""LSTM and GRU, step by step, with ONNX's layout of weights (LSTM-14, GRU-14)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from snapq.training.library import Tensor, torch
from snapq.training.operators.base import Attributes, Operator, Unsupported

__all__ = ["RECURRENT"]

State = Sequence[Tensor]
"""What goes from one step to the next, `[batch, hidden]` each: `(h,)`, of an LSTM `(h, c)`."""
Cell = Callable[[Attributes, Tensor, State, Tensor, Tensor, Tensor, Tensor], State]
"""One step: attributes, input, state, both weights, both biases; gives the next state."""


def _directions(a: Attributes) -> tuple[bool, ...]:
    """For each direction of the node whether it reads backwards."""
    if "activations" in a or "clip" in a or a.integer("layout") or a.integer("input_forget"):
        raise Unsupported("a recurrent operator with other activations, clip or layout")
    direction = a.text("direction", "forward")
    return {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}[direction]


def _unrolled(
    cell: Cell,
    states: int,
    a: Attributes,
    x: Tensor,
    weight: Tensor,
    recurrence: Tensor,
    bias: Tensor | None = None,
    lengths: Tensor | None = None,
    *others: Tensor | None,
) -> tuple[Tensor, ...]:
    """Outputs `[time, directions, batch, hidden]`, and the last of each state."""
    if lengths is not None or any(other is not None for other in others[states:]):
        what = "an LSTM with sequence lengths or peepholes"
        raise Unsupported(what if cell is _lstm else "a GRU with sequence lengths")
    rows = weight.shape[1]
    biases = x.new_zeros((len(weight), 2 * rows)) if bias is None else bias
    zeros = x.new_zeros((x.shape[1], a.integer("hidden_size")))
    found = []
    for index, backwards in enumerate(_directions(a)):
        given = (*others, None, None)[:states]
        state: State = [zeros if value is None else value[index] for value in given]
        parameters = weight[index], recurrence[index], *torch.split(biases[index], rows, -1)
        outputs = []
        for now in x.unbind(0)[:: -1 if backwards else 1]:
            state = cell(a, now, state, *parameters)
            outputs.append(state[0])
        found.append((torch.stack(outputs[:: -1 if backwards else 1]), *state))
    first, *last = zip(*found, strict=True)
    return torch.stack(first, 1), *(torch.stack(each) for each in last)


def _lstm(
    a: Attributes, now: Tensor, state: State, w: Tensor, r: Tensor, wb: Tensor, rb: Tensor
) -> State:
    h, c = state
    gates = now @ w.T + h @ r.T + (wb + rb)
    i, o, f, g = torch.split(gates, a.integer("hidden_size"), -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _gru(
    a: Attributes, now: Tensor, state: State, w: Tensor, r: Tensor, wb: Tensor, rb: Tensor
) -> State:
    (h,), hidden = state, a.integer("hidden_size")
    zx, rx, hx = torch.split(now @ w.T + wb, hidden, -1)
    rz, rr, rh = torch.split(r, hidden, 0)
    bz, br, bh = torch.split(rb, hidden, -1)
    update = torch.sigmoid(zx + h @ rz.T + bz)
    reset = torch.sigmoid(rx + h @ rr.T + br)
    late = a.integer("linear_before_reset")
    inner = reset * (h @ rh.T + bh) if late else (reset * h) @ rh.T + bh
    return ((1 - update) * torch.tanh(hx + inner) + update * h,)


RECURRENT: dict[str, Operator] = {
    "LSTM": Operator(partial(_unrolled, _lstm, 2), weights=(1, 2, 3)),
    "GRU": Operator(partial(_unrolled, _gru, 1), weights=(1, 2, 3)),
}
