"""What mutations have in common: the parts of a model, and values that nobody expects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import onnx
from google.protobuf.message import Message

Mutation = Callable[[onnx.ModelProto, Random, Path], str | None]
"""Changes a model in place, and may write files beside it; says what it did, None for nothing."""

INTEGERS = (0, 1, -1, 2, 7, 8, 16, 127, 255, 1000, 65536, 1 << 31, (1 << 31) - 1, -(1 << 31))
HUGE = (1 << 62, (1 << 63) - 1, -(1 << 63), 10**12, 1 << 40)
WORDS = ("", "x", "y", "a", "w1", "\x1b[31mred\x1b[0m", "a\u202eb", "../../etc", "é" * 300, "\x00")
FLOATS = (0.0, -1.0, 1e38, 1e-45, float("nan"), float("inf"), -float("inf"))
TYPES = (*range(24), 99, -1)


def messages(root: Message) -> list[Message]:
    """A message and all that it holds."""
    found = [root]
    for field, value in root.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for one in value if field.is_repeated else (value,):
                found += messages(one)
    return found


def another(value: Any, random: Random, names: Any) -> Any:
    """Another value of the same Python type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return random.choice((*INTEGERS, *HUGE, value + 1, value - 1, random.choice(TYPES)))
    if isinstance(value, float):
        return random.choice(FLOATS)
    if isinstance(value, bytes):
        cut = random.randrange(len(value) + 1)
        return random.choice((value[:cut], value + value, b"", random.randbytes(len(value))))
    return random.choice((*WORDS, *names) or ("",))


def names_of(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of values."""
    return tuple(
        dict.fromkeys(name for node in nodes_of(model) for name in (*node.input, *node.output))
    )


def nodes_of(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Nodes of all graphs and functions."""
    return [one for one in messages(model) if isinstance(one, onnx.NodeProto)]


def tensors_of(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    """Tensors of all graphs."""
    return [one for one in messages(model) if isinstance(one, onnx.TensorProto)]


def copied(value: Any) -> Any:
    if not isinstance(value, Message):
        return value
    fresh = type(value)()
    fresh.CopyFrom(value)
    return fresh
