"""Fields of messages dropped, doubled, moved and changed, whatever they mean."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import onnx
from google.protobuf.message import Message
from onnx import helper

from benchmarks.robustness.mutations.values import another, copied, messages, names_of


def field_mutation(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Drops, doubles, moves or changes one field somewhere."""
    message = random.choice(messages(model))
    fields = message.ListFields()
    if not fields:
        return None
    field, value = random.choice(fields)
    name = f"{message.DESCRIPTOR.name}.{field.name}"
    if field.is_repeated:
        return _change_list(message, field.name, value, random) and f"{name}: another list"
    how = random.choice(("drop", "change"))
    if how == "drop" or field.type == field.TYPE_MESSAGE:
        message.ClearField(field.name)
        return f"{name} dropped"
    fresh = another(value, random, names_of(model))
    try:
        setattr(message, field.name, fresh)
    except (ValueError, TypeError):
        return None
    return f"{name} = {str(fresh)[:30]!r}"


def _change_list(message: Message, name: str, values: Any, random: Random) -> bool:
    how = random.choice(("delete", "double", "swap", "change", "empty"))
    index = random.randrange(len(values))
    if how == "empty":
        message.ClearField(name)
    elif how == "delete":
        del values[index]
    elif how == "double":
        copies = [*values, values[index]]
        message.ClearField(name)
        getattr(message, name).extend(copies)
    elif how == "swap":
        copies = random.sample([copied(one) for one in values], len(values))
        message.ClearField(name)
        getattr(message, name).extend(copies)
    else:
        if isinstance(values[index], Message):
            return False
        try:
            values[index] = another(values[index], random, ())
        except (ValueError, TypeError):
            return False
    return True


def wrong_opset(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Declares other versions."""
    how = random.choice(("none", "old", "new", "twice", "own", "ir"))
    if how == "none":
        del model.opset_import[:]
    elif how == "twice":
        model.opset_import.append(helper.make_opsetid("", random.choice((7, 11, 21))))
    elif how == "own":
        model.opset_import.append(helper.make_opsetid("ai.onnx.ml", random.choice((0, 3, 99))))
    elif how == "ir":
        model.ir_version = random.choice((0, 1, 3, 99, 1 << 40))
    elif model.opset_import:
        model.opset_import[0].version = random.choice((0, 1, 6, 7, 8) if how == "old" else (24, 99))
    return f"opset: {how}"


def shuffled(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Puts nodes in another order, which is no fault."""
    nodes = [copied(one) for one in model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(random.sample(nodes, len(nodes)))
    return "nodes in another order"


def same_names(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Gives several things one name."""
    things = [one for one in messages(model) if getattr(one, "name", "")]
    if len(things) < 2:
        return None
    first, second = random.sample(things, 2)
    second.name = first.name  # type: ignore[attr-defined]
    return f"two things are called {first.name!r}"  # type: ignore[attr-defined]
