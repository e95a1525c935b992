"""`snapq analyze`: what quantizing each node, or each tensor, alone costs at the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snapq.api.public import public
from snapq.api.shared import refuse_existing
from snapq.config import DataSource, QuantizeConfig
from snapq.config.reading import load
from snapq.errors import ConfigError
from snapq.progress import Progress, Silent
from snapq.records import AnalysisRecord, Origin
from snapq.storage import write_text

if TYPE_CHECKING:
    from snapq.api.calibration import GivenSamples
    from snapq.graph.shapes import InputShapes


@public
def analyze(
    model: str | Path,
    device: str,
    calibration: GivenSamples | str | Path | None = None,
    *,
    weights: str | None = None,
    activations: str | None = None,
    simulated: bool = False,
    samples: int = 8,
    tensors: bool = False,
    inputs: InputShapes | None = None,
    outputs: Sequence[str] = (),
    random_inputs: bool = False,
    page: str | Path | None = None,
    overwrite: bool = False,
    cluster: str | None = None,
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
        samples: how many calibration samples outputs are compared on.
        tensors: also quantize every activation and weight alone.
        inputs: shape of each input; needed where the model's are dynamic.
        outputs: inner tensors to cut at; what is in front of them is analyzed.
        random_inputs: calibrate on random inputs, for a trial.
        page: where to write an HTML page with plot and tables too.
        overwrite: whether `page` may exist.
        cluster: where the simulations are done, as for `run`; with `simulated` only.
        progress: progress reporter; nothing is shown where not given.

    Returns:
        Each node with its SQNR in dB when it alone is quantized, in the model's order; the worst
        ones with the cause. Where there is an estimate, each with its part of it.

    Raises:
        ConfigError: there is no calibration, an option is not known, or `page` exists.
        DataError: a sample does not fit the model.
        ModelError: the model cannot be read or handled, or is quantized already.
        DeviceError, QnnError, InstallError: as the simulator, where that is asked for.
        StorageError: the page cannot be written.
    """
    from snapq.api.calibration import calibration_source
    from snapq.api.cluster import connected
    from snapq.api.node_sensitivity import analyze_model
    from snapq.api.one_stage import prepared
    from snapq.devices.profiles import find
    from snapq.graph import io
    from snapq.graph.foreign import explaining
    from snapq.stages.base import Context, Input, Reads

    if page is not None:
        refuse_existing(Path(page), overwrite)
    if cluster is not None and not simulated:
        hint = "Add --on simulator (in Python: simulated=True), or leave the cluster out."
        raise ConfigError("Only simulations go to a cluster.", where="--cluster", hint=hint)
    types = {"weights": weights, "activations": activations}
    given = {name: value for name, value in types.items() if value is not None}
    path, options, base = Path(model), QuantizeConfig.model_validate(given), None
    data: DataSource | GivenSamples
    if path.suffix in (".yaml", ".yml") and calibration is None:
        config = load(path)
        stages = (stage.options for stage in config.stages)
        named = next((one for one in stages if isinstance(one, QuantizeConfig)), options)
        options = named.model_copy(update={name: getattr(options, name) for name in given})
        path, base, inputs = config.model.path, config.folder, inputs or config.model.inputs
        outputs = outputs or config.model.outputs
        data = config.data.calibration or calibration_source(None, None, random_inputs)
    else:
        data = calibration_source(calibration, None, random_inputs)
    with (
        explaining(path),
        connected(cluster, progress),
        prepared(path, data, inputs or {}, (find(device),), base, outputs) as values,
    ):
        reads = Reads((Input.DEVICES, Input.CALIBRATION))
        found = analyze_model(
            io.load(values[Input.PREVIOUS].model),
            path.name,
            options,
            Context(reads, values, progress=progress or Silent()),
            where=Origin.SIMULATED if simulated else Origin.HOST,
            samples=samples,
            tensors=tensors,
        )
    if page is not None:
        from snapq.report.analysis import render

        write_text(Path(page), render(found))
    return found
