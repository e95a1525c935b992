"""Changes to an ONNX file that no exporter makes: of its messages, of its meaning, of its bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import onnx

from benchmarks.robustness.mutations.fields import (
    field_mutation,
    same_names,
    shuffled,
    wrong_opset,
)
from benchmarks.robustness.mutations.growth import function_fault, huge_constant, nested
from benchmarks.robustness.mutations.nodes import (
    cycle,
    rewire,
    wrong_attribute,
    wrong_boundary,
    wrong_operator,
)
from benchmarks.robustness.mutations.values import Mutation
from benchmarks.robustness.mutations.weights import (
    external_fault,
    missing_weight,
    sparse_fault,
    wrong_parameter,
    wrong_weight,
)

__all__ = ["STRUCTURED", "mutated", "spoil_bytes"]

STRUCTURED: tuple[Mutation, ...] = (
    *(field_mutation,) * 5,
    *(wrong_weight, wrong_parameter, wrong_attribute, wrong_operator, wrong_boundary) * 2,
    cycle,
    rewire,
    missing_weight,
    wrong_opset,
    shuffled,
    same_names,
    sparse_fault,
    external_fault,
    external_fault,
    function_fault,
    huge_constant,
    nested,
)
"""What is drawn from; what stands there more often is drawn more often."""


def spoil_bytes(data: bytes, random: Random) -> tuple[bytes, str]:
    """Flips bits, cuts, or doubles a part of a file."""
    how = random.choice(("flip", "flip", "cut", "double", "utf8", "insert"))
    if not data:
        return data, "empty"
    place = random.randrange(len(data))
    changed = bytearray(data)
    if how == "flip":
        for _ in range(random.choice((1, 1, 2, 8, 64))):
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    elif how == "cut":
        del changed[place:]
    elif how == "double":
        changed[place:place] = changed[place : place + random.randrange(1, 200)]
    elif how == "utf8":
        letters = [i for i, byte in enumerate(data) if 97 <= byte <= 122] or [0]
        changed[random.choice(letters)] = 0xFF
    else:
        changed[place:place] = random.randbytes(random.randrange(1, 20))
    return bytes(changed), f"bytes: {how}"


def mutated(model: onnx.ModelProto, random: Random, folder: Path) -> tuple[bytes, str]:
    """Breaks a model in one to three ways; returns the file and what was done."""
    done: list[str] = list(_apply(model, random, folder))
    data = model.SerializePartialToString()
    if not done or random.random() < 0.15:
        data, how = spoil_bytes(data, random)
        done.append(how)
    return data, "; ".join(done)


def _apply(model: onnx.ModelProto, random: Random, folder: Path) -> Iterator[str]:
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        try:
            told = random.choice(STRUCTURED)(model, random, folder)
        except Exception:  # what is broken already may not bear another change
            continue
        if told:
            yield told
