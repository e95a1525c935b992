"""`estimate`: Qualcomm's Performance Estimate of one model; `predict`: what a board takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snapq.api.public import public
from snapq.api.shared import QuantizedModel, model_path, npu_source
from snapq.errors import ConfigError, ModelError
from snapq.records import EstimateRecord, PredictionRecord

if TYPE_CHECKING:
    import onnx_ir as ir

    from snapq.graph.shapes import InputShapes

_MOST = 256
"""Samples of a call, as in deploy.yaml."""


@dataclass(frozen=True)
class Predicted:
    """A prediction beside the estimate.

    Attributes:
        estimate: of the accelerator alone; `us` in microseconds.
        prediction: of a board's latency; its `us` is None where there is none, and `reason` says
            why.
        problem: why measurements of one's own could not be read.
    """

    estimate: EstimateRecord
    prediction: PredictionRecord
    problem: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The estimate's values, with the prediction's under `prediction`."""
        return {**self.estimate.to_json(), "prediction": self.prediction.to_json()}


@public
def estimate(
    model: str | Path | QuantizedModel,
    device: str,
    *,
    inputs: InputShapes | None = None,
    outputs: Sequence[str] = (),
    batch: int = 1,
) -> EstimateRecord:
    """Qualcomm's Performance Estimate of a model: Q/DQ at its precision, float at fp16.

    Args:
        model: path of an ONNX model, or what `quantize` returned.
        device: device name; where it has no estimate of its own, the nearest architecture's is
            given and named in `estimated_on`.
        inputs: shape of each input; needed where the model's are dynamic.
        outputs: inner tensors to cut at; what is in front of them is estimated.
        batch: how many samples a call takes, along the first axis, of a model of one.

    Returns:
        The estimate; `us` is the accelerator time of a call in microseconds, `sample_us` that of
        a sample.

    Raises:
        DeviceError: the device is unknown or cannot run the model's precision.
        ModelError: it has no batches; the node and the reason are named.
        QnnError: a node cannot run on the NPU; nodes and reasons are named.
        InstallError: onnxruntime-qnn is missing.
    """
    from snapq.devices.profiles import find
    from snapq.graph.foreign import explaining
    from snapq.npu.model import Model

    profile = find(device)
    path = model_path(model)
    with explaining(path):
        source, precision = npu_source(path, inputs or {}, outputs, profile)
        found = Model(_of_batch(source, batch), profile).estimate(precision)
    return found.model_copy(update={"batch": batch})


@public
def estimate_batches(
    model: str | Path | QuantizedModel,
    device: str,
    *,
    inputs: InputShapes | None = None,
    outputs: Sequence[str] = (),
    sizes: Sequence[int] = (1, 2, 4, 8, 16),
) -> tuple[EstimateRecord, ...]:
    """Estimates of a model of one sample by how many samples a call takes.

    Args:
        model: as `estimate` takes it.
        device: device name.
        inputs: shape of each input; needed where the model's are dynamic.
        outputs: inner tensors to cut at; what is in front of them is estimated.
        sizes: samples of a call.

    Returns:
        An estimate for each size, in order.

    Raises:
        ModelError, DeviceError, QnnError, InstallError: as `estimate`.
    """
    from snapq.devices.profiles import find
    from snapq.graph.foreign import explaining
    from snapq.npu.model import Model

    profile = find(device)
    path = model_path(model)
    found = []
    with explaining(path):
        source, precision = npu_source(path, inputs or {}, outputs, profile)
        for size in sizes:
            estimated = Model(_of_batch(source, size), profile).estimate(precision)
            found.append(estimated.model_copy(update={"batch": size}))
    return tuple(found)


def _of_batch(source: Path | ir.Model, size: int) -> Path | ir.Model:
    """The model for calls of so many samples.

    Raises:
        ConfigError: that is no number of samples.
        ModelError: there are no batches of it.
    """
    from snapq.graph.batch import batched

    if size == 1:
        return source
    if not isinstance(size, int) or not 1 <= size <= _MOST:
        raise ConfigError(
            f"{size!r} is no number of samples.", where="--batch", hint=f"Give 1 to {_MOST}."
        )
    if isinstance(source, Path):
        raise ModelError(
            "The model is compiled: how many samples a call takes is inside a binary.",
            where=str(source),
            hint="Estimate the model that it was compiled from.",
        )
    return batched(source, size)


@public
def predict(
    model: str | Path | QuantizedModel,
    device: str,
    *,
    inputs: InputShapes | None = None,
    outputs: Sequence[str] = (),
    own_measurements: bool = True,
    board: str | None = None,
    batch: int = 1,
) -> Predicted:
    """What a board with this SoC takes for a model through ONNX Runtime, with an 80 % interval.

    A fit of estimates to latencies that Qualcomm measured and published gives it. Where it rests on
    the estimate of another chip, the model is compiled for that one too.

    Args:
        model: as `estimate` takes it.
        device: device name.
        inputs: shape of each input; needed where the model's are dynamic.
        outputs: inner tensors to cut at; what is in front of them is predicted.
        own_measurements: calibrate it on what the history has of a board with this SoC, where that
            is enough.
        board: whose measurements those are; the board with most of them where not given.
        batch: how many samples a call takes, along the first axis, of a model of one.

    Returns:
        The prediction, or the reason why there is none, beside the estimate.

    Raises:
        DeviceError, QnnError, InstallError: as `estimate`.
    """
    from snapq.benchmarking.history.calibrated import own_measurements as of_history
    from snapq.devices.profiles import find
    from snapq.graph import io
    from snapq.graph.classical import is_classical
    from snapq.graph.foreign import explaining
    from snapq.npu.model import Memory, Model, Source
    from snapq.prediction.calibration import OwnMeasurements
    from snapq.prediction.predict import CLASSICAL, Predictor, no_prediction

    profile = find(device)
    path = model_path(model)
    own = of_history((profile.name,), board) if own_measurements else OwnMeasurements()
    memory = Memory()
    with explaining(path):
        given, precision = npu_source(path, inputs or {}, outputs, profile)
        source = Source(_of_batch(given, batch))
        estimated = Model(source, profile, memory=memory).estimate(precision)
        estimated = estimated.model_copy(update={"batch": batch})
        if is_classical(io.load(path)):
            found = no_prediction(precision, profile, CLASSICAL)
        else:
            predictor = Predictor.published(memory, own.by_device)
            found = predictor.predict(source, estimated, profile)
    return Predicted(estimated, found, own.problem)
