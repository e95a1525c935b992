"""Samples that a function of the user's yields, and random ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from snapq.config import DataSource
from snapq.errors import DataError
from snapq.evaluation.functions import load_function, user_code
from snapq.evaluation.labels.texts import read_alphabet
from snapq.evaluation.samples import (
    UNKNOWN_TEXT,
    Alphabet,
    Array,
    Dataset,
    Label,
    Sample,
    Text,
    check_names,
    convert,
    counted,
    update_digest,
)

if TYPE_CHECKING:
    from snapq.graph.shapes import TensorSpec

DEFAULT_RANDOM_SAMPLES = 8


def open_python(
    source: DataSource, inputs: Sequence[TensorSpec], *, base: Path, labelled: bool
) -> Dataset:
    """Opens `python: module:function`; runs it once, to count and check what it yields.

    `samples: N` takes the first N: a function may go on without end. Each later pass calls it again
    and has to get the same samples.

    Raises:
        DataError: the function is missing, fails, or yields something else than samples.
    """
    assert source.python is not None
    reference = source.python
    function = load_function(reference, base)
    alphabet = read_alphabet(base / source.alphabet) if source.alphabet is not None else None

    def samples() -> Iterator[Sample]:
        items = islice(_items(function, reference), source.samples)
        for index, item in enumerate(items):
            name = f"{reference}[{index}]"
            feeds, label = _feeds_and_label(item, name, alphabet)
            if labelled and label is None:
                raise DataError(
                    "The sample has no label, and the metric needs one.",
                    where=name,
                    hint="Yield `({input: array}, label)`.",
                )
            check_names(list(feeds), inputs, name)
            yield Sample(
                name,
                {spec.name: _array(feeds[spec.name], spec, name) for spec in inputs},
                {},
                label,
            )

    digests = [_digest(sample) for sample in samples()]
    count = len(digests)
    if count == 0:
        raise DataError(
            "The function yields nothing.", where=reference, hint="Yield at least one sample."
        )
    description = counted(count, count, source.samples, "sample", reference)
    digest = hashlib.sha256(b"".join(digests)).hexdigest()
    return Dataset(lambda: _same(samples(), digests, reference), count, description, lambda: digest)


def open_random(source: DataSource, inputs: Sequence[TensorSpec]) -> Dataset:
    """Opens `random: true`: reals from the normal distribution, whole numbers 0 or 1.

    Sample i depends on the seed and i alone.
    """
    count = source.samples or DEFAULT_RANDOM_SAMPLES

    def samples() -> Iterator[Sample]:
        for index in range(count):
            generator = np.random.default_rng([source.seed, index])
            feeds = {spec.name: _random(spec, generator) for spec in inputs}
            yield Sample(f"random[{index}]", feeds)

    shapes = [(spec.name, str(spec.dtype), spec.shape) for spec in inputs]
    digest = hashlib.sha256(f"random {source.seed} {count} {shapes}".encode()).hexdigest()
    plural = "s" if count > 1 else ""
    description = f"{count} random sample{plural} (seed {source.seed})"
    return Dataset(samples, count, description, lambda: digest, random=True)


def _random(spec: TensorSpec, generator: np.random.Generator) -> Array:
    if spec.dtype.kind == "f":
        return np.asarray(generator.standard_normal(spec.shape, np.float32), spec.dtype)
    if spec.texts is not None:
        return generator.integers(UNKNOWN_TEXT, len(spec.texts), spec.shape)
    return np.asarray(generator.integers(0, 2, spec.shape), spec.dtype)


def _items(function: Callable[..., Any], reference: str) -> Iterator[Any]:
    """Runs the user's function; its errors carry file and line."""
    with user_code(reference):
        made = function()
        if isinstance(made, Mapping | str | bytes) or not hasattr(made, "__iter__"):
            raise DataError(
                f"The function returned {_kind(made)}, and samples come one after another.",
                where=reference,
                hint="Yield each sample, or return a list of them.",
            )
        iterator = iter(made)
    while True:
        with user_code(reference):
            try:
                item = next(iterator)
            except StopIteration:
                return
        yield item


def _feeds_and_label(
    item: Any, where: str, alphabet: Alphabet | None
) -> tuple[Mapping[str, Any], Label | Mapping[str, Label] | None]:
    feeds, label = item if isinstance(item, tuple) and len(item) == 2 else (item, None)
    if not isinstance(feeds, Mapping) or not all(isinstance(key, str) for key in feeds):
        hint = "Yield `{input: array}` or `({input: array}, label)`."
        raise DataError(f"The sample is {_kind(item)}.", where=where, hint=hint)
    if isinstance(label, Mapping):
        labels = {str(output): _label(value, where, alphabet) for output, value in label.items()}
        return feeds, {output: value for output, value in labels.items() if value is not None}
    return feeds, _label(label, where, alphabet)


def _label(label: Any, where: str, alphabet: Alphabet | None) -> Label | None:
    if label is None:
        return None
    if isinstance(label, str) and alphabet is not None:
        return Text(label, alphabet)
    array = np.asarray(label)
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"The label is {_kind(label)}.",
            where=where,
            hint="Give a number or an array of them; texts need `alphabet: FILE` beside `python:`.",
        )
    if array.ndim == 0 and array.dtype.kind in "iu":
        if array < 0:
            raise DataError(
                f"The label is {array}.", where=where, hint="Classes are counted from 0."
            )
        return int(array)
    return array


def _array(value: Any, spec: TensorSpec, where: str) -> Array:
    with user_code(where):
        array = np.asarray(value)
    if array.shape != spec.shape and (spec.shape[:1] != (1,) or array.shape != spec.shape[1:]):
        raise DataError(
            f"Input '{spec.name}' is of shape {list(array.shape)}, and the model's is "
            f"{list(spec.shape)}.",
            where=where,
            hint="Yield one sample of the input's shape; a leading 1 may be left out.",
        )
    return convert(array.reshape(spec.shape), spec, where)


def _digest(sample: Sample) -> bytes:
    digest = hashlib.sha256()
    for name, value in sorted(sample.feeds.items()):
        digest.update(name.encode())
        update_digest(digest, value)
    labels = sample.label if isinstance(sample.label, Mapping) else {"": sample.label}
    for name, label in sorted(labels.items()):
        digest.update(name.encode())
        update_digest(digest, label)
    return digest.digest()


def _same(samples: Iterator[Sample], digests: Sequence[bytes], reference: str) -> Iterator[Sample]:
    """Passes the samples on while they are those of the first pass.

    Float and quantized outputs are compared sample by sample, each in a pass of its own: with other
    samples the figures would mean nothing.
    """
    for index, digest in enumerate(digests):
        sample = next(samples, None)
        if sample is None or _digest(sample) != digest:
            raise DataError(
                f"The function {'yields other' if sample else 'yields fewer'} samples when it is "
                "called again.",
                where=f"{reference}[{index}]",
                hint="Make it yield the same each time: seed its random numbers inside of it.",
            )
        yield sample


def _kind(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[:1] in 'aeiouAEIOU' else 'a'} {name}" if value is not None else "None"
