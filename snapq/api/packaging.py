"""`package`: one model to a bundle, without a deploy.yaml."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from snapq.api.public import public
from snapq.api.shared import QuantizedModel, model_path
from snapq.config import DataSource
from snapq.errors import ConfigError
from snapq.progress import Progress, Silent
from snapq.records import RunRecord

if TYPE_CHECKING:
    from snapq.api.calibration import GivenSamples
    from snapq.graph.shapes import InputShapes

_RANDOM = 4


@dataclass(frozen=True, repr=False)
class Package:
    """A bundle on disk.

    Attributes:
        path: its folder.
        record: what the run found that made it: placement, estimates, SQNR.
    """

    path: Path
    record: RunRecord

    def __repr__(self) -> str:
        devices = ", ".join(self.record.devices)
        return f"<Package {self.path} for {devices}>"


@public
def package(
    model: str | Path | QuantizedModel,
    devices: Sequence[str],
    output: str | Path,
    samples: GivenSamples | str | Path | None = None,
    *,
    inputs: InputShapes | None = None,
    batch: int | Literal["auto"] = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Package:
    """Compiles a model for devices, compares it with the CPU, and writes the bundle.

    Args:
        model: path of an ONNX model, or what `quantize` returned; a float model runs at fp16.
        devices: names of the devices to compile for.
        output: folder of the bundle.
        samples: what it is compared with, and golden data: as `calibration` of `quantize`; random
            inputs where not given, which the bundle then says.
        inputs: shape of each input; needed where the model's are dynamic.
        batch: how many samples a call takes, of a model of one; `auto` by the estimate.
        overwrite: whether `output` may exist; a bundle there is replaced.
        progress: progress reporter; nothing is shown where not given.

    Raises:
        ConfigError: no device is named, or `output` exists.
        DataError: a sample does not fit the model.
        DeviceError: a device is unknown, or cannot run the model's precision.
        ModelError: the model cannot be read or handled.
        QnnError: a node cannot run on the NPU; nodes and reasons are named.
    """
    import shutil

    from snapq.api.running import run
    from snapq.api.yaml_text import run_name
    from snapq.bundle import MANIFEST
    from snapq.config import DeployConfig, PackageConfig
    from snapq.config.schema.data import Data
    from snapq.config.schema.model import Model
    from snapq.config.schema.stages import StageItem
    from snapq.scratch import Scratch
    from snapq.storage import atomic_folder

    if not devices:
        hint = "Name some, such as sm8650; `snapq devices` lists them."
        raise ConfigError("No device is given.", where="devices", hint=hint)
    place, source = Path(output), model_path(model)
    if place.exists() and not (overwrite and (place / MANIFEST).is_file()):
        hint = "Name another one, or replace a bundle with overwrite=True."
        raise ConfigError("The output exists.", where=str(place), hint=hint)
    with Scratch() as scratch:
        config = DeployConfig(
            name=run_name(source.stem),
            model=Model(path=source.absolute(), inputs=dict(inputs or {})),
            devices=tuple(devices),
            data=Data(calibration=_source(samples, source, scratch.path / "samples")),
            stages=(StageItem(package=PackageConfig.model_validate({"batch": batch})),),
        )
        done = run(config, runs=scratch.path / "runs", progress=progress or Silent())
        assert done.bundle is not None
        with atomic_folder(place) as building:
            shutil.copytree(done.bundle, building, dirs_exist_ok=True)
        return Package(place, done.record)


def _source(samples: GivenSamples | str | Path | None, model: Path, folder: Path) -> DataSource:
    """Where a run finds the samples; those of a caller are written to files first."""
    import numpy as np

    from snapq.api.calibration import as_sample, calibration_source
    from snapq.graph import io
    from snapq.graph.shapes import graph_inputs

    given = calibration_source(samples, None, random_inputs=True)
    if isinstance(given, DataSource):
        return given if not given.random else DataSource(random=True, samples=_RANDOM)
    names = [str(value.name) for value in graph_inputs(io.load(model))]
    folder.mkdir()
    for index, one in enumerate(given):
        # Not `numpy.savez`, which no input may be called `file` for.
        with zipfile.ZipFile(folder / f"{index:06}.npz", "w") as archive:
            for name, value in as_sample(one, names, index).items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asarray(value), allow_pickle=False)
    return DataSource(arrays=folder)
