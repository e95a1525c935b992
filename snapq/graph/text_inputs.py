"""Text that a classical model takes: each text that it knows as a number, in a file as read.

Encoders of ONNX-ML tell texts apart and do nothing else with them. So the inputs can as well be the
places of texts in a list, which holds all that any encoder knows; head and tail, and ONNX Runtime,
compute with numbers then. The list stays at the input, for tables and applications.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

import onnx
import onnx_ir as ir
from onnx import helper, numpy_helper

__all__ = ["number_texts", "texts_of"]

_KEY = "snapq.texts"
"""Property of an input: the texts, as a list in JSON."""
_ML = "ai.onnx.ml"
_TEXT = onnx.TensorProto.STRING
_MOVE = frozenset(("ArrayFeatureExtractor", "Concat", "Gather", "Identity", "Reshape"))
"""Operators that give elements of their first input (of all, where it is a Concat) as they are."""


def texts_of(value: ir.Value) -> tuple[str, ...] | None:
    """The texts that the numbers of an input stand for, in their order; None for any other."""
    written = value.metadata_props.get(_KEY)
    return None if written is None else tuple(json.loads(written))


def number_texts(proto: onnx.ModelProto) -> None:
    """Makes inputs that are text take the places of texts, in place.

    1. The model holds an operator of ONNX-ML.
    2. What reads text only moves it, or is an encoder: OneHotEncoder with `cats_strings`,
       LabelEncoder with `keys_strings` or a `keys_tensor` of texts and values of another type.
       A model that does anything else with it stays as it is.
    """
    graph = proto.graph
    given = [value for value in graph.input if value.type.tensor_type.elem_type == _TEXT]
    if not given or all(node.domain != _ML for node in graph.node):
        return
    text = {value.name for value in given}
    encoders: list[onnx.NodeProto] = []
    for node in graph.node:
        if text.isdisjoint(node.input):
            continue
        if node.op_type in _MOVE and _moves(node, text):
            text.update(node.output)
        elif node.domain == _ML and _keys(node) is not None:
            encoders.append(node)
        else:
            return
    if not encoders or text & {value.name for value in graph.output}:
        return
    known = sorted({one for node in encoders for one in _keys(node) or ()})
    place = {one: number for number, one in enumerate(known)}
    for node in encoders:
        _renumber(node, place)
    for value in given:
        value.type.tensor_type.elem_type = onnx.TensorProto.INT64
        value.metadata_props.add(key=_KEY, value=json.dumps(known))
    kept = [value for value in graph.value_info if value.name not in text]
    del graph.value_info[:]
    graph.value_info.extend(kept)


def _moves(node: onnx.NodeProto, text: set[str]) -> bool:
    if node.op_type == "Concat":
        return text.issuperset(node.input)
    return bool(node.input) and node.input[0] in text and text.isdisjoint(node.input[1:])


def _keys(node: onnx.NodeProto) -> tuple[str, ...] | None:
    """The texts that an encoder knows; None of anything else."""
    named = {attribute.name: attribute for attribute in node.attribute}
    values = ("values_strings" in named) or _texts(named.get("values_tensor")) is not None
    if node.op_type == "OneHotEncoder" and "cats_strings" in named:
        return tuple(one.decode() for one in named["cats_strings"].strings)
    if node.op_type != "LabelEncoder" or values:
        return None
    if "keys_strings" in named:
        return tuple(one.decode() for one in named["keys_strings"].strings)
    return _texts(named.get("keys_tensor"))


def _texts(attribute: onnx.AttributeProto | None) -> tuple[str, ...] | None:
    if attribute is None or attribute.t.data_type != _TEXT:
        return None
    return tuple(
        one.decode() if isinstance(one, bytes) else str(one)
        for one in numpy_helper.to_array(attribute.t).reshape(-1)
    )


def _renumber(node: onnx.NodeProto, place: Mapping[str, int]) -> None:
    """Gives an encoder the places of its texts."""
    numbers = [place[one] for one in _keys(node) or ()]
    changed = list(_attributes(node, numbers))
    del node.attribute[:]
    node.attribute.extend(changed)


def _attributes(node: onnx.NodeProto, numbers: list[int]) -> Iterator[onnx.AttributeProto]:
    make: Callable[..., onnx.AttributeProto] = helper.make_attribute
    for attribute in node.attribute:
        if attribute.name in ("cats_strings", "keys_strings"):
            yield make(attribute.name.replace("strings", "int64s"), numbers)
        elif attribute.name == "keys_tensor":
            kind, size = onnx.TensorProto.INT64, [len(numbers)]
            yield make("keys_tensor", helper.make_tensor("keys", kind, size, numbers))
        elif attribute.name != "cats_int64s":
            yield onnx.AttributeProto.FromString(attribute.SerializeToString())
