"""Arithmetic read back from a graph as polynomials, so that a pattern has one form, not twenty.

`0.5 * x * (1 + erf(x / 1.414))`, `x * (0.5 + 0.5 * erf(0.707 * x))` and every other way to write
GELU is the same polynomial in the atoms x and e = erf(...): `0.5 x + 0.5 x e`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import onnx_ir as ir

from snapq.graph.edit import is_op, producer, same_shape, scalar

Polynomial = dict[tuple[int, ...], float]
"""Coefficient by the exponents of the atoms; a negative exponent is a division."""

_ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Neg", "Pow", "Reciprocal")
_MAX_TERMS = 8
_MAX_STEPS = 14


def polynomial(value: ir.Value, atoms: Sequence[ir.Value]) -> Polynomial | None:
    """The value as a polynomial in the atoms; None where it holds anything else."""
    return _expand(value, atoms, _MAX_STEPS)


def matches(found: Polynomial | None, wanted: Polynomial) -> bool:
    """Whether two polynomials are equal to 0.1 % in each coefficient."""
    return scale_of(found, wanted, 1.0) is not None


def scale_of(
    found: Polynomial | None, wanted: Polynomial, fixed: float | None = None
) -> float | None:
    """The factor k for which `found == k * wanted` to 0.1 %, else None."""
    if found is None or set(found) != set(wanted):
        return None
    first = next(iter(wanted))
    factor = fixed if fixed is not None else found[first] / wanted[first]
    close = all(
        abs(found[key] - factor * target) <= 1e-3 * abs(factor * target)
        for key, target in wanted.items()
    )
    return factor if close and factor != 0 else None


def multiple_of(
    wanted: Polynomial, gate: ir.Value, source: ir.Value
) -> tuple[ir.Value, float] | None:
    """A value behind `gate` that is `factor * wanted(source, gate)`, and the factor.

    Of several, the one whose factor is nearest to 1: `x * gate / 6` rather than `x * gate`.
    """
    found: list[tuple[float, int, ir.Value, float]] = []
    for result in downstream(gate):
        factor = scale_of(polynomial(result, [source, gate]), wanted)
        if factor is not None and same_shape(result, source):
            found.append((abs(math.log(abs(factor))), len(found), result, factor))
    return min(found, key=lambda item: item[:2])[2:] if found else None


def downstream(value: ir.Value, steps: int = 6) -> Iterator[ir.Value]:
    """Values that arithmetic makes of `value`, nearest first."""
    layer, seen = [value], {value}
    for _ in range(steps):
        following: list[ir.Value] = []
        for item in layer:
            for node in item.consumers():
                if is_op(node, *_ARITHMETIC) and node.outputs[0] not in seen:
                    seen.add(node.outputs[0])
                    following.append(node.outputs[0])
                    yield node.outputs[0]
        layer = following


def upstream(value: ir.Value, steps: int = 8) -> Iterator[ir.Value]:
    """`value` and the values that arithmetic makes it of, nearest first."""
    layer, seen = [value], {value}
    yield value
    for _ in range(steps):
        following: list[ir.Value] = []
        for item in layer:
            node = producer(item, *_ARITHMETIC)
            for source in node.inputs if node is not None else ():
                if source is not None and source not in seen and scalar(source) is None:
                    seen.add(source)
                    following.append(source)
                    yield source
        layer = following


def _expand(value: ir.Value, atoms: Sequence[ir.Value], steps: int) -> Polynomial | None:
    for index, atom in enumerate(atoms):
        if value is atom:
            return {tuple(int(index == other) for other in range(len(atoms))): 1.0}
    number = scalar(value)
    if number is not None:
        return {(0,) * len(atoms): number}
    node = producer(value, *_ARITHMETIC)
    if node is None or steps == 0:
        return None
    parts = [_expand(item, atoms, steps - 1) for item in node.inputs if item is not None]
    known = [part for part in parts if part is not None]
    if len(known) != len(parts):
        return None
    result = _combine(node, known)
    return result if result is not None and len(result) <= _MAX_TERMS else None


def _combine(node: ir.Node, parts: Sequence[Polynomial]) -> Polynomial | None:
    match node.op_type:
        case "Add":
            return _add(parts[0], parts[1], 1.0)
        case "Sub":
            return _add(parts[0], parts[1], -1.0)
        case "Mul":
            return _multiply(parts[0], parts[1])
        case "Neg":
            return {key: -factor for key, factor in parts[0].items()}
        case "Reciprocal":
            return _invert(parts[0])
        case "Div":
            inverse = _invert(parts[1])
            return None if inverse is None else _multiply(parts[0], inverse)
        case _:
            return _power(parts[0], parts[1])


def _add(left: Polynomial, right: Polynomial, sign: float) -> Polynomial:
    result = dict(left)
    for key, factor in right.items():
        result[key] = result.get(key, 0.0) + sign * factor
    return {key: factor for key, factor in result.items() if factor != 0}


def _multiply(left: Polynomial, right: Polynomial) -> Polynomial:
    result: Polynomial = {}
    for key_a, factor_a in left.items():
        for key_b, factor_b in right.items():
            key = tuple(a + b for a, b in zip(key_a, key_b, strict=True))
            result[key] = result.get(key, 0.0) + factor_a * factor_b
    return {key: factor for key, factor in result.items() if factor != 0}


def _invert(part: Polynomial) -> Polynomial | None:
    if len(part) != 1:
        return None
    ((key, factor),) = part.items()
    return {tuple(-exponent for exponent in key): 1.0 / factor}


def _power(base: Polynomial, exponent: Polynomial) -> Polynomial | None:
    if len(exponent) != 1 or any(next(iter(exponent))):
        return None
    (number,) = exponent.values()
    if number not in (1.0, 2.0, 3.0, 4.0):
        return None
    result = base
    for _ in range(int(number) - 1):
        result = _multiply(result, base)
    return result
