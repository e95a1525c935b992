"""What the bundle of a classical model has beside its part on the NPU: head, tail, CPU, answers."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count as numbers
from itertools import islice
from pathlib import Path

import numpy as np

from snapq.bundle import CPU, GOLDEN_ROWS, HEAD, TAIL
from snapq.bundle.host_schema import BundleAnswers, BundleHost, BundleHostInput, BundleProgram
from snapq.bundle.read import golden_file
from snapq.bundle.write import write_arrays, write_program
from snapq.classical.host import HOST_ARRAYS
from snapq.classical.program.answers import Answers
from snapq.cpu import CpuModel
from snapq.errors import ModelError
from snapq.evaluation.samples import Array, Sample
from snapq.graph import io
from snapq.graph.boundary import Boundary
from snapq.stages.package.job import ClassicalParts

__all__ = ["golden_answers", "host_entry", "made_up_samples", "write_classical"]

_MODELS = (CPU, HEAD, TAIL)


def write_classical(
    parts: ClassicalParts, samples: Iterable[Sample] | None, count: int, folder: Path
) -> None:
    """Writes the constants and the code of head and tail, the CPU model and the answers.

    Args:
        parts: of the model.
        samples: golden samples, with their rows in `beside`; None where there are none.
        count: how many of them the bundle has.
        folder: the bundle.

    Raises:
        StorageError: a file cannot be written.
        ModelError: ONNX Runtime does not run the model as given.
    """
    _, arrays = parts.host.to_json()
    write_arrays(folder / HOST_ARRAYS, arrays)
    write_program(folder)
    for name in _MODELS:
        if (parts.folder / name).is_file():
            io.copy(parts.folder / name, folder / name)
    if samples is None:
        return
    whole = CpuModel(parts.whole)
    for number, sample in enumerate(islice(samples, count)):
        answers = whole.run(sample.beside)
        found = {f"in.{name}": value for name, value in sample.beside.items()}
        found |= {f"out.{name}": _plain(value) for name, value in answers.items()}
        write_arrays(folder / golden_file(GOLDEN_ROWS, number), found)


def made_up_samples(parts: ClassicalParts, count: int) -> tuple[Sample, ...]:
    """Golden samples where there are no rows: random ones, small and large, fit for the head."""
    generator = np.random.default_rng(0)

    def rows(whole: bool) -> dict[str, Array]:
        found = {}
        for spec in parts.inputs:
            size = 10.0 ** generator.uniform(-2, 3, (spec.shape[0], 1))
            values = size * generator.standard_normal(spec.shape)
            drawn = generator.integers(0, 10, spec.shape) if whole else values
            found[spec.name] = drawn.astype(spec.dtype)
        return found

    try:
        parts.host.encode(rows(whole=False))
        whole = False
    except ModelError:  # trees that were put onto the NPU for whole numbers take no others
        whole = True
    drawn = [rows(whole) for _ in range(count)]
    names = [f"random rows, batch {number + 1}" for number in range(count)]
    return tuple(
        Sample(name, parts.host.encode(one), beside=one)
        for name, one in zip(names, drawn, strict=True)
    )


def host_entry(parts: ClassicalParts, golden: bool) -> BundleHost:
    """Head and tail in the manifest."""
    value, _ = parts.host.to_json()
    return BundleHost(
        rows=parts.inputs[0].shape[0],
        inputs=tuple(
            BundleHostInput(
                name=spec.name,
                dtype=spec.dtype.name,
                columns=spec.shape[1],
                texts=spec.texts or (),
            )
            for spec in parts.inputs
        ),
        outputs=parts.host.tail.outputs,
        head=BundleProgram.model_validate(value["head"]),
        tail=BundleProgram.model_validate(value["tail"]),
        arrays=HOST_ARRAYS,
        cpu=_there(parts, CPU),
        head_model=_there(parts, HEAD),
        tail_model=_there(parts, TAIL),
        golden=GOLDEN_ROWS if golden else None,
    )


def golden_answers(
    parts: ClassicalParts, boundary: Boundary, folder: Path, golden: str | None
) -> tuple[BundleAnswers, ...]:
    """How near what the simulator gave comes to ONNX Runtime; a board must come as near.

    Args:
        parts: of the model.
        boundary: of the package, as it was applied.
        folder: the bundle, with golden rows and outputs.
        golden: its folder of outputs; None where there are none.
    """
    answers = Answers()
    for number in numbers():
        path = folder / golden_file(GOLDEN_ROWS, number)
        if golden is None or not path.is_file():
            break
        arrays, outputs = _arrays(path), _arrays(folder / golden_file(golden, number))
        rows = {n.removeprefix("in."): v for n, v in arrays.items() if n.startswith("in.")}
        given = {n.removeprefix("out."): v for n, v in arrays.items() if n.startswith("out.")}
        found = parts.host.decode(rows, boundary.package_outputs(outputs))
        answers.update(given, found, len(next(iter(rows.values()))))
    return tuple(BundleAnswers(output=name, **one) for name, one in answers.plain())


def _arrays(path: Path) -> dict[str, Array]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _there(parts: ClassicalParts, name: str) -> str | None:
    return name if (parts.folder / name).is_file() else None


def _plain(value: Array) -> Array:
    """Texts as an array of texts, which can be written without Python objects."""
    return value.astype(str) if value.dtype.kind == "O" else value
