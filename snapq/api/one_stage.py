"""One stage on one model, outside of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from snapq.config import DataSource, PrepareConfig, PruneConfig, QuantizeConfig
from snapq.devices import profiles
from snapq.devices.profiles import DeviceProfile
from snapq.progress import Progress
from snapq.scratch import Scratch
from snapq.stages.base import Context, Input, Outcome, Source, stage

if TYPE_CHECKING:
    import numpy as np

    from snapq.evaluation.samples import Dataset
    from snapq.graph.shapes import InputShapes


def stage_file(
    name: Literal["quantize", "prune"],
    model: Path,
    output: Path,
    calibration: DataSource | Iterable[Mapping[str, np.ndarray]] | None,
    options: QuantizeConfig | PruneConfig,
    devices: Sequence[str],
    shapes: InputShapes,
    progress: Progress,
) -> Outcome:
    """Runs the prepare stage and one more on one file, and writes `output`.

    Raises:
        SnapqError: as the two stages.
    """
    from snapq.graph import io
    from snapq.graph.foreign import explaining
    from snapq.stages.artifact import MODEL

    # What obeys the rules of the oldest architecture runs on all.
    oldest = min(profiles.all_profiles(), key=lambda p: (p.architecture, p.name))
    found = tuple(map(profiles.find, devices)) or (oldest,)
    with explaining(model), prepared(model, calibration, shapes, found) as values:
        folder = values[Input.PREVIOUS].folder.with_name(name)
        folder.mkdir()
        asked = stage(name)
        context = Context(asked.reads(options), values, progress=progress)
        outcome = asked.run(options, context, folder)
        io.copy(folder / MODEL, output)
    return outcome


@contextmanager
def prepared(
    model: Path,
    calibration: DataSource | Iterable[Mapping[str, np.ndarray]] | None,
    shapes: InputShapes,
    devices: Sequence[DeviceProfile],
    base: Path | None = None,
) -> Iterator[dict[Input, Any]]:
    """Runs the prepare stage on one file, and yields the inputs that the next stage may read.

    Args:
        model: the float model.
        calibration: where the samples are, or the samples; None where the next stage needs none.
        shapes: of inputs.
        devices: what to prepare for.
        base: the folder of relative paths; the current one where not given.

    Raises:
        SnapqError: as the stage, or the data does not fit.
    """
    from snapq.api.calibration import given_samples
    from snapq.graph import io
    from snapq.graph.shapes import fix_inputs, input_specs
    from snapq.stages import prepare
    from snapq.stages.artifact import MODEL

    frozen = io.load(model)
    fix_inputs(frozen, shapes)
    specs = input_specs(frozen)
    data: Dataset | None = None
    if isinstance(calibration, DataSource):
        from snapq.evaluation.datasets import open_dataset

        data = open_dataset(calibration, specs, base=base or Path.cwd())
    elif calibration is not None:
        data = given_samples(calibration)
    with Scratch() as scratch:
        folder = scratch.path / "prepare"
        folder.mkdir()
        given = scratch.path / MODEL if shapes else model
        if shapes:
            io.save(frozen, given)
        prepare.write(frozen, PrepareConfig(), folder)
        yield {
            Input.DEVICES: devices,
            Input.CALIBRATION: data,
            Input.GIVEN: Source(given, "float", given.parent),
            Input.PREVIOUS: Source(folder / MODEL, "float", folder),
        }
