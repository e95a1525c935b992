"""Calibration: samples stream through the float model, observers watch its activations.

Nothing is kept of a sample after it has been observed: memory is that of one sample's activations,
however many samples there are.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from snapq.errors import DataError
from snapq.graph import io
from snapq.graph.shapes import TensorSpec, input_specs
from snapq.quantization.observers.base import Observer
from snapq.runtime import cpu_session

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["calibrate", "check_sample", "expose"]

_LARGEST_IN_MEMORY = 1 << 30


def calibrate(
    model: ir.Model,
    samples: Iterable[Mapping[str, npt.NDArray[np.generic]]],
    tensors: Sequence[str],
    factory: Callable[[], Observer],
    progress: Callable[[int], None] | None = None,
) -> dict[str, Observer]:
    """Runs every sample once and lets one observer watch each tensor.

    Args:
        model: the float model with fixed input shapes.
        samples: feeds; read once, one after another.
        tensors: names of float values of the main graph (inputs of the graph too).
        factory: makes an observer.
        progress: called with the number of samples done.

    Raises:
        DataError: there is no sample; a sample does not fit the model or holds NaN or infinity; an
            activation is NaN or infinite (sample and tensor are named).
        ModelError: ONNX Runtime does not accept the model.
    """
    specs = input_specs(model)
    fed = {spec.name for spec in specs}
    computed = [name for name in tensors if name not in fed]
    observers = {name: factory() for name in tensors}
    threads = os.cpu_count() or 1
    done = 0
    with ThreadPoolExecutor(threads) as pool:
        session = _session(model, computed, threads)
        for index, sample in enumerate(samples):
            feeds = check_sample(sample, specs, f"calibration sample {index}")
            values = dict(feeds)
            if computed:
                values.update(zip(computed, session.run(computed, feeds), strict=True))
            jobs = [
                pool.submit(_observe, observers[name], values[name], name, index)
                for name in tensors
            ]
            for job in jobs:
                job.result()
            done = index + 1
            if progress is not None:
                progress(done)
    if not done:
        raise DataError(
            "There is no calibration sample.",
            where="data.calibration",
            mend="Give at least one; 32 to 128 that look like what the device will see are usual.",
        )
    return observers


def check_sample(
    sample: Mapping[str, npt.NDArray[np.generic]], specs: Sequence[TensorSpec], where: str
) -> dict[str, npt.NDArray[np.generic]]:
    """The feeds of a sample, found to fit the model.

    Raises:
        DataError: an input is missing, unknown, of the wrong shape or type, or not finite.
    """
    names = {spec.name for spec in specs}
    for name in sample:
        if name not in names:
            raise DataError(
                f"It feeds '{name}', which the model does not have.",
                where=where,
                mend=f"The model's inputs are: {', '.join(sorted(names))}.",
            )
    feeds = {}
    for spec in specs:
        if spec.name not in sample:
            raise DataError(f"The model's input '{spec.name}' is not fed.", where=where)
        array = np.asarray(sample[spec.name])
        if array.shape != spec.shape or array.dtype != spec.dtype:
            raise DataError(
                f"Input '{spec.name}' is {array.dtype}{list(array.shape)}; "
                f"the model wants {spec.dtype}{list(spec.shape)}.",
                where=where,
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise DataError(
                f"Input '{spec.name}' holds NaN or infinity.",
                where=where,
                mend="Leave this sample out, or mend how it is made.",
            )
        feeds[spec.name] = array
    return feeds


def expose(model: ir.Model, tensors: Sequence[str]) -> ir.Model:
    """A copy of the model with `tensors` as graph outputs, after those that it has.

    Raises:
        KeyError: the main graph has no such value.
    """
    copy = model.clone()
    values = {value.name: value for node in copy.graph for value in node.outputs}
    present = {value.name for value in copy.graph.outputs}
    copy.graph.outputs.extend(values[name] for name in tensors if name not in present)
    return copy


def _session(model: ir.Model, tensors: Sequence[str], threads: int) -> onnxruntime.InferenceSession:
    exposed = expose(model, tensors)
    size = sum(
        value.const_value.nbytes for value in model.graph.initializers.values() if value.const_value
    )
    if size < _LARGEST_IN_MEMORY:
        return cpu_session(io.to_bytes(exposed), threads=threads)
    with tempfile.TemporaryDirectory(prefix="snapq-") as folder:
        path = Path(folder) / "calibration.onnx"
        io.save(exposed, path)
        return cpu_session(path, threads=threads)


def _observe(observer: Observer, value: npt.NDArray[np.generic], name: str, index: int) -> None:
    values = np.ascontiguousarray(value).reshape(-1).astype(np.float32, copy=False)
    # The sum of finite numbers is finite in float64, and one pass over the values is cheap.
    if values.size and not np.isfinite(values.sum(dtype=np.float64)):
        kind = "NaN" if np.isnan(values).any() else "an infinite value"
        raise DataError(
            f"Tensor '{name}' holds {kind} when the float model runs on this sample.",
            where=f"calibration sample {index}",
            mend="Leave this sample out, or mend the model: it has no range to quantize.",
        )
    observer.update(values)
