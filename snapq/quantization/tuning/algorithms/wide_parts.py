"""Wide parts: the sums of a transformer, its attention too, or all of its blocks, at 16 bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from snapq.precision import ActivationType
from snapq.quantization.precision_rules.keep_wide import FIRST_16_BIT
from snapq.quantization.precision_rules.transformer_parts import PARTS, transformer_parts
from snapq.quantization.qdq.scheme import NodePrecision, Source
from snapq.quantization.tuning.algorithms.base import Algorithm, Stage, Study, register

__all__ = ["widen_part"]

_BITS = 8


def widen_part(study: Study, part: str) -> Study | None:
    """Gives a part of a transformer, with those before it, 16-bit activations.

    The weights stay as they are. What has a precision of its own, by the user or a rule, keeps it.
    """
    scheme = study.scheme
    activations = scheme.activation_type
    narrow = activations is not None and activations.bits == _BITS
    if not narrow or not scheme.keep_wide or study.model.opset_imports.get("", 0) < FIRST_16_BIT:
        return None
    names = transformer_parts(study.model.graph).get(part, frozenset()) - scheme.per_node.keys()
    if not names:
        return None
    wide = NodePrecision(
        activations=ActivationType.UINT16,
        reason=f"the {part} of a transformer, by the preset",
        source=Source.RULE,
    )
    per_node: Mapping[str, NodePrecision] = {
        **scheme.per_node,
        **dict.fromkeys(sorted(names), wide),
    }
    return replace(study, scheme=replace(scheme, per_node=per_node))


def _of(part: str) -> Algorithm:
    return lambda study: widen_part(study, part)


for _part in PARTS:
    register(f"wide-{_part}", Stage.PARTS)(_of(_part))
