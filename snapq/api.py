"""What a notebook user types, and what the command line calls.

Every function takes paths or plain values, raises `SnapqError` kinds, and imports what is heavy
only when it is called.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snapq.config import BenchmarkConfig, DataSource, DeployConfig
from snapq.errors import ConfigError, DataError, SnapqError, StorageError
from snapq.precision import ActivationType, Preset, WeightType
from snapq.progress import Progress, Silent
from snapq.ranking import Importance
from snapq.records import AnalysisRecord, EstimateRecord, RunRecord

if TYPE_CHECKING:
    import numpy as np

    from snapq.bench_record import BenchRecord
    from snapq.board.environment import Environment
    from snapq.board.manage import Probed
    from snapq.devices.targets.base import Measurement
    from snapq.graph.shapes import InputShapes
    from snapq.history.compare import Comparison
    from snapq.inspection import Inspection
    from snapq.pipeline.plan import Plan
    from snapq.pipeline.setting import Setting
    from snapq.qnn.binary import BinaryInfo
    from snapq.report.sweep import SweepRecord

RUNS = Path("runs")


@dataclass(frozen=True)
class Run:
    """A finished run: its directory and what is in it."""

    folder: Path
    record: RunRecord

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.folder / "report.html"

    @property
    def bundle(self) -> Path | None:
        """The bundle that goes to the board; None where the run has no package stage."""
        path = self.folder / "bundle"
        return path if path.is_dir() else None

    @property
    def measurements(self) -> tuple[Path, ...]:
        """The JSON files of all figures, one a kind."""
        return tuple(sorted((self.folder / "measurements").glob("*.json")))

    @property
    def benches(self) -> tuple[BenchRecord, ...]:
        """The results of the benchmark with every single latency. Raises `StorageError`."""
        from snapq.bench_record import BenchRecord
        from snapq.storage import storage_errors

        path = self.folder / "measurements" / "benches.json"
        if not path.is_file():
            return ()
        with storage_errors(path):
            return tuple(map(BenchRecord.model_validate, json.loads(path.read_bytes())))

    @property
    def passed(self) -> bool:
        """Whether every gate held."""
        return all(gate.passed for gate in self.record.gates)


@dataclass(frozen=True)
class Sweep:
    """Runs with several values of one key: the folder of their page, and their figures."""

    folder: Path
    record: SweepRecord

    @property
    def page(self) -> Path:
        """The page with the curve."""
        return self.folder / "sweep.html"

    @property
    def passed(self) -> bool:
        """Whether every run came to an end and held its gates."""
        return all(point.passed for point in self.record.points)


@dataclass(frozen=True)
class QuantizedModel:
    """A Q/DQ model on disk.

    Attributes:
        path: the ONNX file; float inputs and outputs.
        precision: weights and activations, `w8a8`.
        encodings: number of tensors that have an encoding.
        notes: sentences on what was left in float and why.
    """

    path: Path
    precision: str
    encodings: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class PrunedModel:
    """A pruned model on disk.

    Attributes:
        path: the ONNX file; inputs and outputs of the original.
        details: multiply-accumulates, bytes and the channels of each layer, before and after.
        notes: sentences on what could not be cut and why.
    """

    path: Path
    details: Mapping[str, Any]
    notes: tuple[str, ...]


def load(path: str | Path, overrides: Sequence[str] = ()) -> DeployConfig:
    """Reads a deploy.yaml.

    Args:
        path: the YAML file; relative paths in it are relative to its folder.
        overrides: `key.path=value` items that replace what the file says.

    Raises:
        ConfigError: with file, line and key of everything that is wrong.
    """
    from snapq import config_file

    return config_file.load(path, overrides)


def check(config: DeployConfig, *, random_inputs: bool = False) -> Setting:
    """Reads and checks everything that a run would need: model, data, devices.

    Raises:
        SnapqError: what is wrong, where, and the mend.
    """
    from snapq.pipeline.setting import load_setting

    return load_setting(config, random_inputs=random_inputs)


def plan(config: DeployConfig, *, runs: str | Path = RUNS, random_inputs: bool = False) -> Plan:
    """Says what `run` would do and what it would reuse, without doing it.

    Raises:
        SnapqError: what is wrong, where, and the mend.
    """
    from snapq.pipeline.plan import make_plan

    return make_plan(check(config, random_inputs=random_inputs), _cache(Path(runs), fresh=False))


def run(
    config: DeployConfig | str | Path,
    *,
    runs: str | Path = RUNS,
    output: str | Path | None = None,
    random_inputs: bool = False,
    fresh: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Runs a deployment from end to end.

    Args:
        config: what `load` returned, or the path of a deploy.yaml.
        runs: directory of all runs; the run goes to `NAME/TIME` in it.
        output: the run directory itself, instead.
        random_inputs: use random inputs where the YAML names no data; every result is marked.
        fresh: compute every stage again.
        progress: who is told what goes on.

    Returns:
        The run; whether its gates held is in `passed`.

    Raises:
        SnapqError: what is wrong, where, and the mend; no run directory is left.
    """
    from snapq.pipeline.execute import execute
    from snapq.pipeline.folder import new_place, run_folder
    from snapq.pipeline.setting import command_line

    loaded = config if isinstance(config, DeployConfig) else load(config)
    told = progress or Silent()
    place = Path(output) if output else new_place(Path(runs), loaded.name)
    with run_folder(place) as folder:
        chosen = check(loaded, random_inputs=random_inputs)
        cache = _cache(Path(runs), fresh=fresh)
        record = execute(chosen, folder, cache, told, command_line())
        write_report(Run(folder, record))
    return Run(place, record)


def sweep(
    path: str | Path,
    option: str,
    overrides: Sequence[str] = (),
    *,
    runs: str | Path = RUNS,
    random_inputs: bool = False,
    fresh: bool = False,
    progress: Progress | None = None,
) -> Sweep:
    """Runs a deploy.yaml once for each of several values of one key.

    Args:
        path: the YAML file.
        option: `KEY=VALUE,VALUE,…`; the key is a path as in `overrides`, or the name of an option
            that only one stage of the file has, such as `ratio`.
        overrides: `key.path=value` items that hold for all runs.
        runs: directory of all runs; the page goes to `NAME/sweep-TIME` in it.
        random_inputs: as for `run`.
        fresh: as for `run`.
        progress: as for `run`.

    Returns:
        The figures of all runs, and where the page with the curve is.

    Raises:
        SnapqError: what is wrong, where, and the mend; where some of the runs fail, the page says
            so and the others go on.
    """
    from snapq import sweep as engine
    from snapq.pipeline.folder import new_place

    key, values = engine.parse(option)
    path_of_key = engine.key_path(key, load(path, overrides))
    configs = [(text, load(path, [*overrides, f"{path_of_key}={text}"])) for text in values]
    name = configs[0][1].name
    place = new_place(Path(runs), name)
    folder = place.with_name(f"sweep-{place.name}")

    def execute(config: DeployConfig) -> tuple[Path, RunRecord]:
        done = run(config, runs=runs, random_inputs=random_inputs, fresh=fresh, progress=progress)
        return done.folder, done.record

    return Sweep(folder, engine.sweep(key, configs, execute, folder))


def open_run(folder: str | Path) -> Run:
    """Opens a finished run.

    Raises:
        StorageError: `folder` is not a run directory, or its run.json cannot be read.
    """
    from snapq.report.load import load_record

    return Run(Path(folder), load_record(Path(folder)))


def latest_run(runs: str | Path = RUNS) -> Path:
    """Returns the newest run directory under `runs`.

    Raises:
        StorageError: there is none.
    """
    from snapq.pipeline.folder import latest

    found = latest(Path(runs))
    if found is None:
        raise StorageError(
            "There is no finished run here.", where=str(runs), mend="Name a run directory."
        )
    return found


def write_report(finished: Run) -> Path:
    """Writes report.html of a run anew and returns its path. Raises `StorageError`."""
    from snapq.report.html import render_html
    from snapq.storage import write_text

    write_text(finished.report, render_html(finished.record))
    return finished.report


def init(model: str | Path, *, target: str | None, output: str | Path, force: bool = False) -> Path:
    """Writes a working deploy.yaml for a model and returns its path.

    Raises:
        ConfigError: `output` exists and `force` is not set.
        ModelError: the model cannot be read.
        DeviceError: the target is unknown.
    """
    from snapq.initialize import initialize
    from snapq.storage import write_text

    path = Path(output)
    _refuse_existing(path, force)
    write_text(path, initialize(Path(model), target, folder=path.parent))
    return path


def inspect(
    model: str | Path,
    target: str,
    *,
    inputs: InputShapes | None = None,
    progress: Progress | None = None,
) -> Inspection:
    """Says which nodes of a model will run on the NPU, at which precision, and why others not.

    Args:
        model: path of a float ONNX model.
        target: device name.
        inputs: shape of each input; needed where the model's are dynamic.
        progress: who is told what goes on.

    Raises:
        ModelError: the model cannot be read or frozen.
        DeviceError: the device is unknown.
    """
    from snapq.devices.profiles import find
    from snapq.inspection import inspect_model

    return inspect_model(Path(model), find(target), inputs or {}, progress or Silent())


def inspect_compiled(file: str | Path) -> tuple[BinaryInfo, ...]:
    """Says what a compiled file was made for: QAIRT build, SoC, memory, inputs and outputs.

    Args:
        file: a context binary (`*_qnn.bin`), or a container of several (`.dlc`, multi-SoC `.bin`).

    Raises:
        QnnError: it is neither, or it is damaged.
        InstallError: Qualcomm's runtime is not installed.
        StorageError: it cannot be read.
    """
    from snapq.qnn.binary import inspect_binary, inspect_container
    from snapq.qnn.containers import is_container

    path = Path(file)
    return inspect_container(path) if is_container(path) else (inspect_binary(path),)


def quantize(
    model: str | Path,
    calibration: Iterable[Mapping[str, np.ndarray]] | str | Path | None = None,
    *,
    weights: str = WeightType.INT8,
    activations: str = ActivationType.UINT8,
    preset: str = Preset.BALANCED,
    targets: Sequence[str] = (),
    inputs: InputShapes | None = None,
    samples: int | None = None,
    random_inputs: bool = False,
    encodings: str | Path | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> QuantizedModel:
    """Prepares and quantizes a float model; the result has float inputs and outputs.

    Args:
        model: path of a float ONNX model.
        calibration: samples as `{input: array}`; or a folder of images (used as pixels 0..255), or
            `.npy`/`.npz` files.
        weights: `int8`, `uint8`, `int4` or `int16`.
        activations: `uint8`, `int8`, `uint16` or `float16`.
        preset: `fast`, `balanced` or `best`.
        targets: devices whose rules to obey; the rules of all architectures where not given.
        inputs: shape of each input; needed where the model's are dynamic.
        samples: use this many of the samples of a path.
        random_inputs: calibrate on random inputs, to try things out.
        encodings: a file of AIMET encodings that were made for this model; types and ranges are
            its, and samples are needed only for what it leaves out.
        output: where to write; `MODEL.PRECISION.onnx` beside the model where not given.
        overwrite: whether `output` may exist.
        progress: who is told what goes on.

    Raises:
        ConfigError: there is no calibration, or an option is not known.
        DataError: a sample does not fit the model.
        ModelError: the model cannot be read or handled.
    """
    from snapq.config import QuantizeConfig
    from snapq.pipeline.setting import precision_of
    from snapq.single import stage_file

    options = QuantizeConfig(
        weights=WeightType(weights),
        activations=ActivationType(activations),
        preset=Preset(preset),
        encodings=Path(encodings) if encodings is not None else None,
        never_slower=False,  # what is asked for by name is what is given
    )
    source = Path(model)
    name = "quantized" if encodings is not None else precision_of(options)
    path = Path(output) if output else source.with_suffix(f".{name}.onnx")
    _refuse_existing(path, overwrite)
    given = calibration is not None or random_inputs or encodings is None
    data = _calibration_source(calibration, samples, random_inputs) if given else None
    outcome = stage_file(
        "quantize", source, path, data, options, targets, inputs or {}, progress or Silent()
    )
    return QuantizedModel(path, outcome.precision, outcome.details["encodings"], outcome.notes)


def prune(
    model: str | Path,
    ratio: float,
    calibration: Iterable[Mapping[str, np.ndarray]] | str | Path | None = None,
    *,
    importance: str = Importance.ACTIVATION,
    repair: bool = True,
    step: int = 32,
    inputs: InputShapes | None = None,
    samples: int | None = None,
    random_inputs: bool = False,
    output: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> PrunedModel:
    """Prepares a float model, cuts channels from it and refits the layers behind them.

    Args:
        model: path of a float ONNX model.
        ratio: share of the multiply-accumulates to take away.
        calibration: samples, as for `quantize`; not needed with `importance="magnitude"` and
            `repair=False`.
        importance: `magnitude`, `activation`, `second-order` or `taylor`.
        repair: whether to refit.
        step: channel counts are brought to multiples of this.
        inputs: shape of each input; needed where the model's are dynamic.
        samples: use this many of the samples of a path.
        random_inputs: use random inputs as calibration, to try things out.
        output: where to write; `MODEL.pruned.onnx` beside the model where not given.
        overwrite: whether `output` may exist.
        progress: who is told what goes on.

    Raises:
        ConfigError: there is no calibration, or an option is not known.
        DataError: a sample does not fit the model.
        ModelError: the model cannot be read, or nothing of it can be cut.
    """
    from snapq.config import PruneConfig
    from snapq.single import stage_file

    way = Importance(importance)
    options = PruneConfig(ratio=ratio, importance=way, repair=repair, step=step)
    source = Path(model)
    path = Path(output) if output else source.with_suffix(".pruned.onnx")
    _refuse_existing(path, overwrite)
    needed = repair or way is not Importance.MAGNITUDE or calibration is not None
    data = _calibration_source(calibration, samples, random_inputs) if needed else None
    outcome = stage_file(
        "prune", source, path, data, options, (), inputs or {}, progress or Silent()
    )
    return PrunedModel(path, outcome.details, outcome.notes)


def analyze(
    model: str | Path,
    device: str,
    calibration: Iterable[Mapping[str, np.ndarray]] | str | Path | None = None,
    *,
    weights: str | None = None,
    activations: str | None = None,
    simulated: bool = False,
    samples: int = 8,
    tensors: bool = False,
    inputs: InputShapes | None = None,
    random_inputs: bool = False,
    progress: Progress | None = None,
) -> AnalysisRecord:
    """Says what quantizing each node alone costs at the model's outputs, and why.

    Args:
        model: path of a float ONNX model; or of a deploy.yaml, whose model, calibration data and
            precision are then taken.
        device: whose rules to obey, whose simulator to use, whose estimate to divide among nodes.
        calibration: samples as for `quantize`.
        weights: `int8` where not given, or another type.
        activations: `uint8` where not given, or another type.
        simulated: compute the outputs on the NPU simulator and not on this machine's CPU.
        samples: judge on so many of the calibration samples.
        tensors: judge every activation and weight alone too.
        inputs: shape of each input; needed where the model's are dynamic.
        random_inputs: calibrate on random inputs, to try things out.
        progress: who is told what goes on.

    Returns:
        Each node with its SQNR in dB when it alone is quantized, in the model's order; the worst
        ones with the cause. Where there is an estimate, each with its part of it.

    Raises:
        ConfigError: there is no calibration, or an option is not known.
        DataError: a sample does not fit the model.
        ModelError: the model cannot be read or handled, or is quantized already.
        DeviceError, QnnError, InstallError: as the simulator, where that is asked for.
    """
    from snapq.analysis import Asked, analyze_file
    from snapq.config import QuantizeConfig
    from snapq.devices.profiles import find
    from snapq.records import Where

    asked = Asked(Where.SIMULATED if simulated else Where.HOST, samples, tensors)
    types = {"weights": weights, "activations": activations}
    given = {name: value for name, value in types.items() if value is not None}
    path, options, base = Path(model), QuantizeConfig.model_validate(given), None
    data: DataSource | Iterable[Mapping[str, np.ndarray]]
    if path.suffix in (".yaml", ".yml") and calibration is None:
        config = load(path)
        stages = (stage.options for stage in config.stages)
        named = next((one for one in stages if isinstance(one, QuantizeConfig)), options)
        options = named.model_copy(update={name: getattr(options, name) for name in given})
        path, base, inputs = config.model.path, config.folder, inputs or config.model.inputs
        data = config.data.calibration or _calibration_source(None, None, random_inputs)
    else:
        data = _calibration_source(calibration, None, random_inputs)
    told = progress or Silent()
    return analyze_file(path, data, options, find(device), inputs or {}, asked, told, base)


def export_encodings(
    model: str | Path | QuantizedModel,
    output: str | Path,
    *,
    file_format: str = "aimet-1.0",
    float_model: str | Path | None = None,
    overwrite: bool = False,
) -> int:
    """Writes the encodings of a Q/DQ model for other tools.

    Args:
        model: path of a Q/DQ model, what `quantize` returned, or the folder of a run.
        output: the JSON file to write.
        file_format: `aimet-1.0` or `aimet-0.6.1`.
        float_model: where to write the float model whose tensors the file names, if anywhere.
        overwrite: whether `output` may exist.

    Returns:
        How many tensors the file lists.

    Raises:
        ConfigError: the format is not known, or the file exists.
        ModelError: the model is not quantized.
    """
    from snapq.errors import nearest
    from snapq.quantization.exchange.files import FORMATS
    from snapq.single import export_file

    if file_format not in FORMATS:
        close = nearest(file_format, FORMATS)
        raise ConfigError(
            f"There is no format '{file_format}'.",
            where="--format",
            mend=f"Did you mean '{close}'?" if close else f"There are: {', '.join(FORMATS)}.",
        )
    written = [Path(item) for item in (output, float_model) if item is not None]
    for item in written:
        _refuse_existing(item, overwrite)
    path = _path(model)
    return export_file(_quantized_model(path) if path.is_dir() else path, file_format, *written)


def estimate(
    model: str | Path | QuantizedModel,
    device: str,
    *,
    inputs: InputShapes | None = None,
) -> EstimateRecord:
    """Qualcomm's Performance Estimate of a model: Q/DQ at its precision, float at fp16.

    Args:
        model: path of an ONNX model, or what `quantize` returned.
        device: device name; where it has no estimate of its own, the nearest architecture's is
            given and named in `estimated_on`.
        inputs: shape of each input; needed where the model's are dynamic.

    Returns:
        The estimate; `accelerator_us` is its figure in microseconds.

    Raises:
        DeviceError: the device is unknown or cannot run the model's precision.
        QnnError: a node cannot run on the NPU; nodes and reasons are named.
        InstallError: onnxruntime-qnn is missing.
    """
    from snapq.devices.profiles import find
    from snapq.single import estimate_file

    return estimate_file(_path(model), find(device), inputs or {})


def simulate(
    model: str | Path | QuantizedModel,
    device: str,
    samples: Iterable[Mapping[str, np.ndarray]],
    *,
    progress: Progress | None = None,
) -> list[dict[str, np.ndarray]]:
    """Runs a model on Qualcomm's NPU simulator, sample by sample.

    Args:
        model: path of an ONNX model (float, Q/DQ or a compiled `*_ctx.onnx`).
        device: device name.
        samples: `{input: array}` in the input's own shape and type.
        progress: who is told what goes on.

    Returns:
        `{output: array}` for each sample, in order. The values are exact for the architecture.

    Raises:
        DeviceError: the device is unknown or cannot run the model's precision.
        QnnError: a node cannot run on the NPU; nodes and reasons are named.
        DataError: a sample does not fit the model.
    """
    from snapq.devices.profiles import find
    from snapq.single import simulate_samples

    return simulate_samples(_path(model), find(device), samples, progress or Silent())


def simulate_file(
    model: Path,
    device: str,
    inputs: Path,
    output: Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> tuple[int, list[str]]:
    """Runs the samples of an `.npz` on the simulator and writes the outputs to another.

    Returns:
        Number of samples, and the names of the outputs.

    Raises:
        DataError: the arrays do not fit the model.
        SnapqError: as `simulate`.
    """
    from snapq.single import read_samples, write_outputs

    _refuse_existing(output, overwrite)
    outputs = simulate(model, device, read_samples(inputs, model), progress=progress)
    if not outputs:
        raise DataError("There is no sample in the file.", where=str(inputs))
    write_outputs(output, outputs)
    return len(outputs), sorted(outputs[0])


def benchmark(
    bundle: str | Path,
    target: str = "local",
    *,
    baseline: str | Path | None = None,
    protocol: BenchmarkConfig | None = None,
    progress: Progress | None = None,
) -> Measurement:
    """Measures the latency of a bundle on a target.

    Args:
        bundle: a bundle directory.
        target: `local` (this machine's CPU, the portable model), `ssh://user@host:port`, or a
            board of boards.yaml. On a board the bundle is pushed, checked, compared with its
            golden data and run on the NPU; on its CPU only where `protocol.allow` says so.
        baseline: the float model to measure against, interleaved; no speed-up without one.
        protocol: warm-up, runs, duration, repeats, threads, allowed processors.
        progress: who is told what goes on.

    Raises:
        ConfigError: the target is not known.
        StorageError: the bundle is damaged.
        DeviceError: the board cannot be reached, or cannot run the bundle.
    """
    from snapq.benchmarking import benchmark_bundle

    return benchmark_bundle(
        Path(bundle),
        target,
        protocol or BenchmarkConfig(target=target),
        Path(baseline) if baseline is not None else None,
        progress or Silent(),
    )


def benchmark_all(
    bundle: str | Path,
    targets: Sequence[str],
    *,
    baseline: str | Path | None = None,
    protocol: BenchmarkConfig | None = None,
    progress: Progress | None = None,
) -> list[Measurement | SnapqError]:
    """Measures a bundle on several targets at once; arguments as `benchmark`.

    Returns:
        For each target, in order, what was found, or the error that it ended with.
    """
    from snapq import benchmarking

    return benchmarking.benchmark_all(
        Path(bundle),
        targets,
        protocol or BenchmarkConfig(),
        Path(baseline) if baseline is not None else None,
        progress or Silent(),
    )


def remember(records: Iterable[BenchRecord]) -> None:
    """Adds results of benchmarks to the history. Raises `StorageError`."""
    from snapq.history import store

    store.remember(records)


def history(
    *, target: str | None = None, label: str | None = None, limit: int = 20
) -> tuple[BenchRecord, ...]:
    """The newest results of the history, newest first. Raises `StorageError`."""
    from snapq.history import store

    return store.recent(target=target, label=label, limit=limit)


def compare(before: str, after: str, *, max_slowdown: float = 1.05) -> Comparison:
    """Compares two results of the history.

    Args:
        before: id of the older run, or its beginning.
        after: id of the newer one.
        max_slowdown: how many times the old median the new one may be.

    Raises:
        ConfigError: there is no such run.
        StorageError: the history is damaged.
    """
    from snapq.history import store
    from snapq.history.compare import compare as compare_records

    return compare_records(store.find(before), store.find(after), max_slowdown)


def probe_board(name: str) -> Probed:
    """Asks a board what it is and what it lacks: `ssh://user@host:port`, or one of boards.yaml.

    Raises:
        SnapqError: there is no way to the board, or no Python on it.
    """
    from snapq.board import manage

    return manage.probe_board(name)


def set_up_board(name: str, *, progress: Progress | None = None) -> Environment:
    """Brings the agent's libraries to a board; does nothing where they are there.

    Raises:
        SnapqError: there is no way to the board, no room on it, or no wheels for it.
    """
    from snapq.board import manage

    return manage.set_up_board(name, progress or Silent())


def clean_board(name: str) -> tuple[str, int]:
    """Removes everything that snapq put on a board; returns its folder and the bytes in it.

    Raises:
        SnapqError: there is no way to the board, or the folder is not snapq's.
    """
    from snapq.board import manage

    return manage.clean_board(name)


def _quantized_model(folder: Path) -> Path:
    """The Q/DQ model of a run: that of its last stage before the package."""
    stages = [s for s in open_run(folder).record.stages if s.name not in ("source", "package")]
    return folder / stages[-1].model.path


def _cache(runs: Path, *, fresh: bool) -> Any:
    from snapq.pipeline.cache import Cache

    return Cache(runs / ".cache", enabled=not fresh)


def _path(model: str | Path | QuantizedModel) -> Path:
    return model.path if isinstance(model, QuantizedModel) else Path(model)


def _refuse_existing(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise ConfigError(
            "The file exists.",
            where=str(path),
            mend="Name another one, or overwrite it with --force (overwrite=True).",
        )


def _calibration_source(
    calibration: Iterable[Mapping[str, np.ndarray]] | str | Path | None,
    samples: int | None,
    random_inputs: bool,
) -> DataSource | Iterable[Mapping[str, np.ndarray]]:
    if isinstance(calibration, str | Path):
        path = Path(calibration)
        arrays = path.suffix in {".npy", ".npz"} or (path.is_dir() and any(path.glob("*.np[yz]")))
        return DataSource(**{"arrays" if arrays else "images": path, "samples": samples})
    if calibration is not None:
        return calibration
    if random_inputs:
        return DataSource(random=True, samples=samples or 8)
    raise ConfigError(
        "Quantizing needs calibration samples.",
        where="--calibration",
        mend="Give a folder of images or .npy/.npz arrays; to try things out: --random-inputs.",
    )
