"""LSTM and GRU, step by step, with ONNX's layout of weights (LSTM-14, GRU-14)."""

from __future__ import annotations

from collections.abc import Callable

from snapq.training.library import Tensor, torch
from snapq.training.operators.base import Attributes, Operator, Unsupported

__all__ = ["RECURRENT"]

Step = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def _directions(a: Attributes) -> tuple[bool, ...]:
    """For each direction of the node whether it reads backwards."""
    if "activations" in a or "clip" in a or a.integer("layout") or a.integer("input_forget"):
        raise Unsupported("a recurrent operator with other activations, clip or layout")
    direction = a.text("direction", "forward")
    return {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}[direction]


def _unroll(
    x: Tensor, backwards: bool, step: Step, state: Tensor, cell: Tensor
) -> tuple[Tensor, ...]:
    """Outputs `[time, batch, hidden]`, the last state and the last cell."""
    times = range(x.shape[0] - 1, -1, -1) if backwards else range(x.shape[0])
    outputs = []
    for time in times:
        state, cell = step(x[time], state, cell)
        outputs.append(state)
    return torch.stack(outputs[::-1] if backwards else outputs), state, cell


def _lstm(
    a: Attributes,
    x: Tensor,
    weight: Tensor,
    recurrence: Tensor,
    bias: Tensor | None = None,
    lengths: Tensor | None = None,
    state: Tensor | None = None,
    cell: Tensor | None = None,
    peephole: Tensor | None = None,
) -> tuple[Tensor, ...]:
    if lengths is not None or peephole is not None:
        raise Unsupported("an LSTM with sequence lengths or peepholes")
    hidden = a.integer("hidden_size")
    found = []
    for index, backwards in enumerate(_directions(a)):
        zeros = torch.zeros((x.shape[1], hidden), dtype=x.dtype, device=x.device)
        w, r = weight[index], recurrence[index]
        b = bias[index, : 4 * hidden] + bias[index, 4 * hidden :] if bias is not None else 0.0

        def step(
            now: Tensor, h: Tensor, c: Tensor, w: Tensor = w, r: Tensor = r, b: Tensor | float = b
        ) -> tuple[Tensor, Tensor]:
            gates = now @ w.T + h @ r.T + b
            i, o, f, g = torch.split(gates, hidden, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            return torch.sigmoid(o) * torch.tanh(c), c

        first = state[index] if state is not None else zeros
        held = cell[index] if cell is not None else zeros
        found.append(_unroll(x, backwards, step, first, held))
    outputs, states, cells = zip(*found, strict=True)
    return torch.stack(outputs, 1), torch.stack(states), torch.stack(cells)


def _gru(
    a: Attributes,
    x: Tensor,
    weight: Tensor,
    recurrence: Tensor,
    bias: Tensor | None = None,
    lengths: Tensor | None = None,
    state: Tensor | None = None,
) -> tuple[Tensor, ...]:
    if lengths is not None:
        raise Unsupported("a GRU with sequence lengths")
    hidden, late = a.integer("hidden_size"), bool(a.integer("linear_before_reset"))
    found = []
    for index, backwards in enumerate(_directions(a)):
        zeros = torch.zeros((x.shape[1], hidden), dtype=x.dtype, device=x.device)
        wb, rb = (
            (bias[index, : 3 * hidden], bias[index, 3 * hidden :])
            if bias is not None
            else (x.new_zeros(3 * hidden), x.new_zeros(3 * hidden))
        )

        def step(
            now: Tensor,
            h: Tensor,
            c: Tensor,
            w: Tensor = weight[index],
            r: Tensor = recurrence[index],
            wb: Tensor = wb,
            rb: Tensor = rb,
        ) -> tuple[Tensor, Tensor]:
            zx, rx, hx = torch.split(now @ w.T + wb, hidden, -1)
            rz, rr, rh = torch.split(r, hidden, 0)
            bz, br, bh = torch.split(rb, hidden, -1)
            update = torch.sigmoid(zx + h @ rz.T + bz)
            reset = torch.sigmoid(rx + h @ rr.T + br)
            inner = reset * (h @ rh.T + bh) if late else (reset * h) @ rh.T + bh
            return (1 - update) * torch.tanh(hx + inner) + update * h, c

        first = state[index] if state is not None else zeros
        found.append(_unroll(x, backwards, step, first, zeros))
    outputs, states, _ = zip(*found, strict=True)
    return torch.stack(outputs, 1), torch.stack(states)


RECURRENT: dict[str, Operator] = {
    "LSTM": Operator(_lstm, weights=(1, 2, 3)),
    "GRU": Operator(_gru, weights=(1, 2, 3)),
}
