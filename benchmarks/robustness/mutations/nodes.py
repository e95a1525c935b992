"""Nodes, their attributes and wires, and what goes in and out of the graph."""

from __future__ import annotations

from pathlib import Path
from random import Random

import onnx
from onnx import helper

from benchmarks.robustness.mutations.values import (
    FLOATS,
    HUGE,
    INTEGERS,
    TYPES,
    WORDS,
    names_of,
    nodes_of,
)


def cycle(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Lets a node read what a later one makes."""
    nodes = [one for one in model.graph.node if one.input]
    if not nodes:
        return None
    node, later = random.choice(nodes), random.choice(model.graph.node)
    if not later.output:
        return None
    node.input[random.randrange(len(node.input))] = later.output[0]
    return f"{node.op_type} reads what {later.op_type} makes"


def rewire(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Gives an input or output of a node another name."""
    node = random.choice(nodes_of(model) or [onnx.NodeProto()])
    side = random.choice((node.input, node.output))
    if not side:
        return None
    place = random.randrange(len(side))
    side[place] = random.choice((*names_of(model), "nothing", ""))
    return f"{node.op_type} is wired to {side[place]!r}"


def wrong_attribute(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Changes, drops or invents an attribute."""
    nodes = nodes_of(model)
    if not nodes:
        return None
    node = random.choice(nodes)
    how = random.choice(("drop", "add", "type", "value", "value", "list"))
    if how == "add" or not node.attribute:
        name = random.choice(("axis", "axes", "group", "pads", "strides", "perm", "to", "invented"))
        node.attribute.append(
            helper.make_attribute(name, random.choice((-7, 0, 99, 1 << 40, [0], [9, 9], 1.5, "s")))
        )
        return f"{node.op_type} has {name}"
    place = random.randrange(len(node.attribute))
    attribute = node.attribute[place]
    if how == "drop":
        del node.attribute[place]
    elif how == "type":
        attribute.type = random.choice(range(15))
    elif attribute.ints:
        numbers = list(attribute.ints)
        numbers[random.randrange(len(numbers))] = random.choice((*INTEGERS, *HUGE))
        del attribute.ints[:]
        attribute.ints.extend(numbers if how == "value" else numbers * 2)
    else:
        attribute.i = random.choice((*INTEGERS, *HUGE))
        attribute.f = random.choice(FLOATS)
        attribute.s = random.choice((b"", b"\xff\xfe", b"same", b"linear"))
    return f"{node.op_type}.{attribute.name}: {how}"


def wrong_operator(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Calls a node by another operator's name, domain or inputs."""
    nodes = nodes_of(model)
    if not nodes:
        return None
    node = random.choice(nodes)
    how = random.choice(("operator", "operator", "domain", "fewer", "more", "none"))
    before = node.op_type
    if how == "operator":
        names = [one.name for one in onnx.defs.get_all_schemas() if one.domain == ""]
        node.op_type = random.choice([*sorted(set(names)), "Nothing", "", "block", "\x1b[2J"])
    elif how == "domain":
        node.domain = random.choice(("com.microsoft", "own", "none.such", "ai.onnx.ml"))
    elif how == "fewer" and node.input:
        del node.input[random.randrange(len(node.input)) :]
    elif how == "more":
        node.input.extend(random.choice((*names_of(model), "")) for _ in range(3))
    else:
        del node.output[:]
    return f"{before}: {how} {node.op_type!r}"


def wrong_boundary(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Changes what goes in or comes out: names, types, shapes."""
    side = random.choice((model.graph.input, model.graph.output))
    if not side:
        return None
    value = random.choice(side)
    kind = value.type.tensor_type
    how = random.choice(("type", "dim", "rank", "name", "sequence", "none", "double"))
    if how == "type":
        kind.elem_type = random.choice([one for one in TYPES if one >= 0])
    elif how == "dim" and kind.shape.dim:
        random.choice(kind.shape.dim).dim_value = random.choice((*INTEGERS, *HUGE))
    elif how == "rank":
        kind.shape.dim.add(dim_value=random.choice((1, 4, 0)))
    elif how == "name":
        value.name = random.choice((*WORDS, *names_of(model)))
    elif how == "sequence":
        value.type.sequence_type.elem_type.tensor_type.elem_type = 1
    elif how == "none":
        value.ClearField("type")
    else:
        side.append(value)
    return f"boundary: {how} {value.name!r}"
