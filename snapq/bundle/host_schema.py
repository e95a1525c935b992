"""The part of `manifest.json` that says what the CPU computes around a classical model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from snapq.bundle.entries import BundlePath, Dtype, Entry, Finite, Text, as_tuple, check_text
from snapq.classical.program import known_operations

__all__ = ["BundleAnswers", "BundleHost", "BundleHostInput", "BundleProgram", "BundleStep"]

_MAX_STEPS = 20_000
_Texts = Annotated[tuple[Text, ...], BeforeValidator(as_tuple)]


class BundleStep(Entry):
    """One operation of the host, see `snapq_program`."""

    op: Text
    """Its name in `snapq_program`."""
    inputs: _Texts
    """Names of values; an empty one is left out."""
    outputs: _Texts
    """Names of the values that it makes."""
    attributes: dict[Text, Any]
    """Its settings."""
    arrays: dict[Text, Text]
    """Name of each constant, to its name in the file of arrays."""

    @model_validator(mode="after")
    def _is_known(self) -> BundleStep:
        if self.op not in known_operations():
            raise ValueError("the operation of a step is not known to this snapq")
        for value in self.attributes.values():
            _check_plain(value)
        return self


class BundleProgram(Entry):
    """Steps in the order in which they run; each reads what is there by then."""

    inputs: _Texts
    """Names of the values that are there."""
    outputs: _Texts
    """Names of the values that are wanted."""
    steps: Annotated[
        tuple[BundleStep, ...], BeforeValidator(as_tuple), Field(max_length=_MAX_STEPS)
    ]
    """What is done."""

    @model_validator(mode="after")
    def _is_ordered(self) -> BundleProgram:
        known = set(self.inputs)
        for step in self.steps:
            if any(name and name not in known for name in step.inputs):
                raise ValueError("a step reads what no step before it makes")
            if known & set(step.outputs):
                raise ValueError("a value is made twice")
            known |= set(step.outputs)
        if not set(self.outputs) <= known:
            raise ValueError("no step makes an output of the program")
        return self


class BundleHostInput(Entry):
    """What the classical model takes under one name: `[rows, columns]`."""

    name: Text
    """Its name in the model."""
    dtype: Dtype
    """Element type of the rows."""
    columns: Annotated[int, Field(gt=0, le=2**31)]
    """How many columns it has."""
    texts: _Texts = ()
    """Of an input that took text as given: what its numbers stand for, from 0 on; -1 is any other
    text."""


_Count = Annotated[int, Field(ge=0, le=2**40)]


class BundleAnswers(Entry):
    """How near the simulated package comes to ONNX Runtime on the golden rows, in one output."""

    output: Text
    """Its name in the model."""
    labels: bool
    """Whether it holds labels, and no values."""
    rows: _Count
    """How many rows were compared."""
    equal: _Count
    """How many have the same answer."""
    ties: _Count
    """Rows with another label, where two scores are equal within 1e-6."""
    largest: Annotated[Finite, Field(ge=0)]
    """Largest difference of a value."""
    mean: Annotated[Finite, Field(ge=0)]
    """Mean over the rows of the largest difference in each."""
    range: Annotated[Finite, Field(ge=0)]
    """Greatest less least value."""


class BundleHost(Entry):
    """Head and tail of a classical model."""

    rows: Annotated[int, Field(gt=0, le=2**31)]
    """How many rows the package takes at once; fewer are filled up."""
    inputs: Annotated[tuple[BundleHostInput, ...], BeforeValidator(as_tuple)]
    """What the model takes."""
    outputs: _Texts
    """What the model gives."""
    head: BundleProgram
    """From the model's inputs to the values that `feeds` takes."""
    tail: BundleProgram
    """From what `read` gives, and the model's inputs, to the model's outputs."""
    arrays: BundlePath
    """The `.npz` with the constants of both."""
    cpu: BundlePath | None
    """The whole model for the CPU alone."""
    head_model: BundlePath | None = None
    """The head as ONNX; null where ONNX has no operators for it."""
    tail_model: BundlePath | None = None
    """The tail as ONNX; null where ONNX has no operators for it."""
    golden: BundlePath | None
    """Folder with the rows of the golden samples, and the answers to them."""

    @model_validator(mode="after")
    def _fits(self) -> BundleHost:
        if self.outputs != self.tail.outputs:
            raise ValueError("the tail does not give the outputs of the model")
        if not set(self.head.inputs) <= {item.name for item in self.inputs}:
            raise ValueError("the head takes what is no input of the model")
        return self


def _check_plain(value: Any, depth: int = 0) -> None:
    """Refuses what is neither a text, a number nor a list of these."""
    if isinstance(value, list) and depth < 2:
        for item in value:
            _check_plain(item, depth + 1)
    elif isinstance(value, str):
        check_text(value)
    elif not isinstance(value, int | float | bool | None):
        raise ValueError("an attribute of a step is no text, number or list of them")


def constants(programs: Sequence[BundleProgram]) -> frozenset[str]:
    """Names of all arrays that programs use."""
    steps = (step for program in programs for step in program.steps)
    return frozenset(name for step in steps for name in step.arrays.values())
