"""Overrides: from what the YAML says of some nodes to a precision for each of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

import onnx_ir as ir

from snapq.config import Override
from snapq.errors import ConfigError, did_you_mean
from snapq.precision import ActivationType
from snapq.quantization.qdq.scheme import NodePrecision

__all__ = ["resolve"]


def resolve(overrides: Sequence[Override], model: ir.Model) -> dict[str, NodePrecision]:
    """The precision of every node of a prepared model that an override of the YAML names.

    A later one wins, type by type.

    Raises:
        ConfigError: an override matches no node.
    """
    nodes = [(str(node.name), node.op_type) for node in model.graph]
    found: dict[str, NodePrecision] = {}
    for index, override in enumerate(overrides):
        for name in _matches(override, nodes, f"quantize.overrides[{index}]"):
            before = found.get(name, NodePrecision())
            float16 = ActivationType.FLOAT16 if override.keep else None
            found[name] = NodePrecision(
                weights=override.weights or before.weights,
                activations=override.activations or float16 or before.activations,
            )
    return found


def _matches(override: Override, nodes: Sequence[tuple[str, str]], where: str) -> list[str]:
    names = [name for name, _ in nodes]
    if override.nodes:
        for wanted in override.nodes:
            if wanted not in names:
                _refuse("node", wanted, names, f"{where}.nodes")
        return list(override.nodes)
    if override.pattern is not None:
        found = [name for name in names if fnmatchcase(name, override.pattern)]
        if not found:
            _refuse("node like", override.pattern, names, f"{where}.pattern")
        return found
    wanted = str(override.op_type)
    found = [name for name, op_type in nodes if op_type == wanted]
    if not found:
        _refuse("operator", wanted, {op_type for _, op_type in nodes}, f"{where}.op_type")
    return found


def _refuse(kind: str, wanted: str, known: Iterable[str], where: str) -> None:
    raise ConfigError(
        f"The prepared model has no {kind} '{wanted}'.",
        where=where,
        hint=did_you_mean(wanted, sorted(known), "`snapq inspect` and the report list the nodes."),
    )
