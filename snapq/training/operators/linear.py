"""Convolutions and matrix products: the operators with most of the weights."""

from __future__ import annotations

from collections.abc import Sequence

from snapq.training.library import Tensor, functional, torch
from snapq.training.operators.base import Attributes, Operator, Unsupported

__all__ = ["LINEAR", "window_padding"]


def window_padding(
    a: Attributes, size: Sequence[int], kernel: Sequence[int]
) -> list[tuple[int, int]]:
    """Padding before and after each spatial axis of a window operator (Conv, pools).

    Args:
        a: `pads`, `auto_pad`, `strides`, `dilations` of the node.
        size: spatial sizes of the input.
        kernel: spatial sizes of the window.
    """
    rank = len(kernel)
    mode = a.text("auto_pad", "NOTSET")
    if mode in ("NOTSET", ""):
        pads = a.integers("pads", (0,) * (2 * rank))
        return list(zip(pads[:rank], pads[rank:], strict=True))
    if mode == "VALID":
        return [(0, 0)] * rank
    strides = a.integers("strides", (1,) * rank)
    dilations = a.integers("dilations", (1,) * rank)
    found = []
    for axis in range(rank):
        outputs = -(-size[axis] // strides[axis])
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        total = max((outputs - 1) * strides[axis] + reach - size[axis], 0)
        small, large = total // 2, total - total // 2
        found.append((small, large) if mode == "SAME_UPPER" else (large, small))
    return found


def _conv(a: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    rank = weight.ndim - 2
    pads = window_padding(a, x.shape[2:], weight.shape[2:])
    if any(before != after for before, after in pads):
        x = functional.pad(x, [end for pair in reversed(pads) for end in pair])
        pads = [(0, 0)] * rank
    run = getattr(functional, f"conv{rank}d", None)
    if run is None:
        raise Unsupported(f"a convolution over {rank} axes")
    result: Tensor = run(
        x,
        weight,
        bias,
        stride=a.integers("strides", (1,) * rank),
        padding=tuple(before for before, _ in pads),
        dilation=a.integers("dilations", (1,) * rank),
        groups=a.integer("group", 1),
    )
    return result


def _conv_transpose(a: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    rank = weight.ndim - 2
    run = getattr(functional, f"conv_transpose{rank}d", None)
    if run is None or a.text("auto_pad", "NOTSET") not in ("NOTSET", "VALID", ""):
        raise Unsupported("a ConvTranspose with auto_pad, or over more than 3 axes")
    full: Tensor = run(
        x,
        weight,
        bias,
        stride=a.integers("strides", (1,) * rank),
        output_padding=a.integers("output_padding", (0,) * rank),
        dilation=a.integers("dilations", (1,) * rank),
        groups=a.integer("group", 1),
    )
    pads = a.integers("pads", (0,) * (2 * rank))
    if "output_shape" in a:
        wanted = a.integers("output_shape")[-rank:]
        totals = [full.shape[2 + i] - wanted[i] for i in range(rank)]
        pads = (*(total - total // 2 for total in totals), *(total // 2 for total in totals))
    for axis in range(rank):
        length = full.shape[2 + axis] - pads[axis] - pads[rank + axis]
        full = full.narrow(2 + axis, pads[axis], length)
    return full


def _gemm(a: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    left = x.transpose(-1, -2) if a.integer("transA") else x
    right = weight.transpose(-1, -2) if a.integer("transB") else weight
    alpha, beta = a.real("alpha", 1.0), a.real("beta", 1.0)
    product = left @ right
    if alpha != 1.0:
        product = alpha * product
    if bias is None:
        return product
    return product + (bias if beta == 1.0 else beta * bias)


LINEAR: dict[str, Operator] = {
    "Conv": Operator(_conv, weights=(1, 2)),
    "ConvTranspose": Operator(_conv_transpose, weights=(1, 2)),
    "Gemm": Operator(_gemm, weights=(0, 1, 2)),
    "MatMul": Operator(lambda a, x, y: torch.matmul(x, y), weights=(0, 1)),
    "Einsum": Operator(
        lambda a, *values: torch.einsum(a.text("equation"), *values), weights=(0, 1, 2)
    ),
}
