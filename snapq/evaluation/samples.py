"""What a data set yields, and what every kind of data set checks and counts the same way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from snapq.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from snapq.config import DataSource
    from snapq.graph.shapes import TensorSpec

Array = np.ndarray[Any, np.dtype[Any]]
UNKNOWN_TEXT = -1
"""Stands for every text that no encoder of a model knows."""


@dataclass(frozen=True)
class Alphabet:
    """What the classes of a model that reads text are.

    Attributes:
        symbols: one a class, the blank among them.
        blank: the class that stands for no character.
    """

    symbols: tuple[str, ...]
    blank: int

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all of it, in hexadecimal."""
        return hashlib.sha256(repr((self.symbols, self.blank)).encode()).hexdigest()


@dataclass(frozen=True)
class Text:
    """A text as a label, with the alphabet in which a model says it."""

    text: str
    alphabet: Alphabet


Label = int | float | str | Array | Text


@dataclass(frozen=True)
class Sample:
    """One sample.

    Attributes:
        name: where it comes from, as a user finds it: a file, `file[3]`, `module:function[3]`.
        feeds: what the float model takes, by input name, of the input's own shape and type.
        frames: of image inputs, the raw pixels: uint8 [1, height, width, channels].
        label: a class number or name, a number, an array (mask, target), one for each output, or
            None where there is no label; of several rows, one a row.
        first: whether a sequence starts here; of a model with state, later steps take over what
            the step before gave.
        beside: of a model that is cut, the inputs that only the tail behind the cut takes; of one
            that was lowered, the rows as they were given.
        rows: of a model that takes several rows at once, how many of them are samples; those
            behind them repeat the last one. None where a sample is no table of rows.
        columns: of a row of a table, the names of the columns that feed each input.
    """

    name: str
    feeds: Mapping[str, Array]
    frames: Mapping[str, Array] = field(default_factory=dict)
    label: Label | Mapping[str, Label] | None = None
    first: bool = True
    beside: Mapping[str, Array] = field(default_factory=dict)
    rows: int | None = None
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


Labels = Callable[[], Iterator[tuple[str, Label | Mapping[str, Label] | None]]]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples that are made one after another, each time anew, in the same order.

    Attributes:
        make: makes the selected samples.
        count: how many there are.
        description: what is in it, for a reader: `64 of 500 images of data/val`.
        fingerprint: SHA-256 of the samples, their labels and the options, in hexadecimal.
        random: whether the inputs are random numbers; every result then says so.
        state: of a model with state, output to the input that takes it at the next step.
        labels: makes the name and label of each sample, where that takes no reading of samples.
    """

    make: Callable[[], Iterator[Sample]]
    count: int
    description: str
    fingerprint: Callable[[], str]
    random: bool = False
    state: Mapping[str, str] = field(default_factory=dict)
    labels: Labels | None = None

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Sample]:
        return self.make()


def evenly_spaced(count: int, samples: int | None) -> tuple[int, ...]:
    """Indices of `samples` among `count`, as far apart as can be, the first one always among them.

    All of them where `samples` is None or not below `count`. Example: (10, 4) -> (0, 2, 5, 7).
    """
    if samples is None or samples >= count:
        return tuple(range(count))
    return tuple(index * count // samples for index in range(samples))


def counted(
    selected: int, available: int, asked: int | None, what: str, source: str, others: int = 0
) -> str:
    """Says how many samples are used, of how many, and what was asked for or left out."""
    plural = what if available == 1 else f"{what}s"
    share = f"{selected}" if selected == available else f"{selected} of {available}"
    wanted = f" ({asked} were asked for)" if asked is not None and asked > available else ""
    left = f" ({others} other file{'s' if others > 1 else ''} left out)" if others else ""
    return f"{share} {plural} of {source}{wanted}{left}"


def shown(path: Path, base: Path) -> str:
    """A path as a reader wants it: relative to the YAML file's folder where it is inside of it."""
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)


def named_input(
    source: DataSource, inputs: Sequence[TensorSpec], where: str, feeds: str, hint: str
) -> TensorSpec:
    """The one input that a source feeds whose files do not name it.

    `feeds` is what feeds an input, with its verb; `hint` what to do where there are several.

    Raises:
        DataError: the model has no such input, or has more than one.
    """
    names = [spec.name for spec in inputs]
    if source.input is not None and source.input not in names:
        raise DataError(
            f"The model has no input '{source.input}'; its inputs are {', '.join(names)}.",
            where="input",
            hint=did_you_mean(source.input, names, "Use one of these names."),
        )
    if len(inputs) != 1:
        what = f"{feeds} one input, and the model has {len(inputs)}: {', '.join(names)}."
        raise DataError(what, where=where, hint=hint)
    return inputs[0]


def numbered(value: Array, texts: Sequence[str]) -> Array:
    """Texts as their places among those that a model knows; `UNKNOWN_TEXT` for any other."""
    places = {text: place for place, text in enumerate(texts)}
    found = [places.get(str(one), places.get(str(one).strip(), UNKNOWN_TEXT)) for one in value.flat]
    return np.array(found, np.int64).reshape(value.shape)


def convert(value: Array, spec: TensorSpec, where: str) -> Array:
    """An array of an input's type, with the same values.

    Real numbers are rounded to the model's own type of real numbers, as feeding the model would.
    Codes of an input that took codes become their real numbers. Every other change of type must
    keep each value.

    Raises:
        DataError: a value is not finite, or the type cannot hold it.
    """
    if spec.texts is not None and value.dtype.kind in "UO":
        value = numbered(value, spec.texts)
    if value.dtype.kind not in "biuf":
        raise DataError(
            f"Input '{spec.name}' is of type {value.dtype}, which is not a type of real numbers.",
            where=where,
            hint=f"Store it as {spec.dtype}.",
        )
    if value.dtype.kind == "f" and not spec.missing and not np.isfinite(value).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0])
        raise DataError(
            f"Input '{spec.name}' holds {value[index]} at index {list(index)}.",
            where=where,
            hint="Remove this sample, or fix how it was made.",
        )
    value = spec.real(value)
    if value.dtype == spec.dtype:
        return np.asarray(value, order="C")
    with np.errstate(over="ignore", invalid="ignore"):
        converted = value.astype(spec.dtype, order="C")
        returned = converted.astype(value.dtype)
    if value.dtype.kind == "f" and spec.dtype.kind == "f":
        kept = bool((np.isfinite(converted) == np.isfinite(value)).all())
    else:
        # A negative number wraps around on the way to an unsigned type, and again on the way back.
        same_sign = bool(((converted < 0) == (value < 0)).all())
        kept = same_sign and np.array_equal(returned, value)
    if not kept:
        raise DataError(
            f"Input '{spec.name}' is of type {value.dtype} and holds values that the model's "
            f"{spec.dtype} cannot.",
            where=where,
            hint=f"Store it as {spec.dtype}.",
        )
    return converted


def check_names(names: Sequence[str], inputs: Sequence[TensorSpec], where: str) -> None:
    """Checks that the names are those of the model's inputs, each one and no other.

    Raises:
        DataError: one is missing or unknown.
    """
    wanted = [spec.name for spec in inputs]
    listed = ", ".join(f"'{spec.name}' {list(spec.shape)}" for spec in inputs)
    unknown = [name for name in names if name not in wanted]
    missing = [name for name in wanted if name not in names]
    if unknown:
        raise DataError(
            f"The model has no input '{unknown[0]}'; its inputs are {listed}.",
            where=where,
            hint=did_you_mean(unknown[0], missing, "Remove or rename this key."),
        )
    if missing:
        raise DataError(
            f"It has no key '{missing[0]}'; the model's inputs are {listed}.",
            where=where,
            hint="Give one key for each input.",
        )


def update_digest(digest: hashlib._Hash, value: Label | None) -> None:
    """Adds a label or an array, with its type and shape, to a digest."""
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(value.tobytes())
    elif isinstance(value, Text):
        digest.update(f"{value.alphabet.digest}{value.text};".encode())
    else:
        digest.update(f"{value};".encode())
