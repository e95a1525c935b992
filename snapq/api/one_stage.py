"""One stage on one model, outside of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from snapq.bundle import TAIL
from snapq.config import DataSource, PrepareConfig, PruneConfig, QuantizeConfig
from snapq.devices import profiles
from snapq.devices.profiles import DeviceProfile
from snapq.progress import Progress
from snapq.scratch import Scratch
from snapq.stages.base import Context, Input, Outcome, Source, stage

if TYPE_CHECKING:
    from snapq.api.calibration import GivenSamples
    from snapq.evaluation.samples import Dataset
    from snapq.graph.shapes import InputShapes


_LARGE = 1 << 26
"""Bytes of weights that are worth a search for what nobody needs any more."""


def stage_file(
    name: Literal["quantize", "prune"],
    model: Path,
    output: Path,
    calibration: DataSource | GivenSamples | None,
    options: QuantizeConfig | PruneConfig,
    devices: Sequence[str],
    shapes: InputShapes,
    progress: Progress,
    cut_at: Sequence[str] = (),
) -> Outcome:
    """Runs the prepare stage and one more on one file, and writes `output`.

    Of a model that is cut, what is behind the cut goes beside it, see `tail_beside`.

    Raises:
        SnapqError: as the two stages.
    """
    from snapq.graph import io
    from snapq.graph.foreign import explaining
    from snapq.runtime import old_objects_set_aside
    from snapq.stages.artifact import MODEL

    # What obeys the rules of the oldest architecture runs on all.
    oldest = min(profiles.all_profiles(), key=lambda p: (p.architecture, p.name))
    found = tuple(map(profiles.find, devices)) or (oldest,)
    with (
        old_objects_set_aside(),
        explaining(model),
        prepared(model, calibration, shapes, found, cut_at=cut_at, command=name) as values,
    ):
        folder = values[Input.PREVIOUS].folder.with_name(name)
        folder.mkdir()
        asked = stage(name)
        context = Context(asked.reads(options), values, progress=progress)
        outcome = asked.run(options, context, folder)
        io.copy(folder / MODEL, output)
        tail = values[Input.PREVIOUS].folder.with_name(TAIL)
        if tail.is_file():
            io.copy(tail, tail_beside(output))
            told = f"What is behind the cut, for the CPU: {tail_beside(output)}"
            outcome = replace(outcome, notes=(*outcome.notes, told))
    return outcome


def tail_beside(output: Path) -> Path:
    """Where the tail of a model that is cut goes: `model.w8a8.tail.onnx` for `model.w8a8.onnx`."""
    return output.with_suffix(".tail.onnx")


@contextmanager
def prepared(
    model: Path,
    calibration: DataSource | GivenSamples | None,
    shapes: InputShapes,
    devices: Sequence[DeviceProfile],
    base: Path | None = None,
    cut_at: Sequence[str] = (),
    command: str = "analyze",
) -> Iterator[dict[Input, Any]]:
    """Runs the prepare stage on one file, and yields the inputs that the next stage may read.

    Args:
        model: the float model.
        calibration: where the samples are, or the samples; None where the next stage needs none.
        shapes: of inputs.
        devices: what to prepare for.
        base: the folder of relative paths; the current one where not given.
        cut_at: inner tensors to cut at; samples are those of the part in front.
        command: for the message where the model is no network.

    Raises:
        SnapqError: as the stage, or the data does not fit.
    """
    from snapq.api.calibration import given_samples
    from snapq.api.classical_inspection import refuse_classical
    from snapq.graph import io
    from snapq.graph.code_boundary import real_numbers_at_the_boundary
    from snapq.graph.cutting import open_given
    from snapq.graph.float32 import one_kind_of_float
    from snapq.graph.shapes import fix_inputs, input_specs
    from snapq.runtime import release_memory
    from snapq.stages import prepare
    from snapq.stages.artifact import MODEL

    cut = None
    frozen = io.load(model)
    io.refuse_compiled(frozen, model)
    refuse_classical(frozen, command)
    converted: tuple[str, ...] = ()
    if cut_at or set(shapes) - {value.name for value in frozen.graph.inputs}:
        cut = open_given(model, shapes, cut_at)
        frozen = cut.model
    else:
        fix_inputs(frozen, shapes)
        converted = (*one_kind_of_float(frozen), *real_numbers_at_the_boundary(frozen))
    specs = input_specs(frozen)
    data: Dataset | None = None
    if isinstance(calibration, DataSource):
        from snapq.evaluation.datasets import open_dataset
        from snapq.evaluation.tail import tail_inputs_apart

        more = cut.tail_inputs if cut is not None and calibration.images is None else ()
        data = open_dataset(calibration, (*specs, *more), base=base or Path.cwd())
        data = tail_inputs_apart(data, more)
    elif calibration is not None:
        data = given_samples(calibration, specs)
    with Scratch() as scratch:
        folder = scratch.path / "prepare"
        folder.mkdir()
        given = scratch.path / MODEL if shapes or cut or converted else model
        if given != model:
            io.save(frozen, given)
        if cut is not None and cut.tail is not None:
            io.save(cut.tail, scratch.path / TAIL)
        prepare.write(frozen, PrepareConfig(), folder)
        large = io.weight_bytes(frozen) > _LARGE
        del frozen, cut  # the next stage reads the file
        if large:
            release_memory()
        yield {
            Input.DEVICES: devices,
            Input.CALIBRATION: data,
            Input.GIVEN: Source(given, "float", given.parent),
            Input.PREVIOUS: Source(folder / MODEL, "float", folder),
        }
