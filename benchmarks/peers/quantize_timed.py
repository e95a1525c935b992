"""Quantizes on samples made up as they are asked for, and says how long that took.

python quantize_timed.py snapq|onnxruntime MODEL OUTPUT METHOD COUNT

Run by calibration.py, each tool in its own environment. The method is ONNX Runtime's name of a way
to calibrate, or an observer of snapq's. Prints one line of JSON: seconds and processor seconds of
quantizing, what was imported before left out, and peak memory of the process in MB.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx

KEPT = 8
"""Different samples; later ones are these, louder or softer, so that making them costs little."""
Feeds = dict[str, np.ndarray]


class Samples:
    """Any number of samples for the inputs of a model; normal noise, or what a folder holds.

    A folder holds one `.npz` a sample.
    """

    def __init__(self, model: Path, count: int, folder: Path | None = None) -> None:
        self.count = count
        self._base = _read(folder) if folder else _noise(model)
        self.rewind()

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Feeds]:
        for index in range(self.count):
            sample = self._base[index % len(self._base)]
            volume = np.float32(1 - (index // len(self._base)) % 16 / 32)
            yield {name: _scaled(array, volume) for name, array in sample.items()}

    def rewind(self) -> None:
        """Starts again, for ONNX Runtime's reader."""
        self._open = iter(self)

    def get_next(self) -> Feeds | None:
        """The next sample, None after the last: ONNX Runtime's reader."""
        return next(self._open, None)


def _scaled(array: np.ndarray, volume: np.float32) -> np.ndarray:
    return array * volume if array.dtype.kind == "f" else array


def _read(folder: Path) -> list[Feeds]:
    return [dict(np.load(path)) for path in sorted(folder.glob("*.npz"))]


def _noise(model: Path) -> list[Feeds]:
    graph = onnx.load(model, load_external_data=False).graph
    weights = {tensor.name for tensor in graph.initializer}
    random = np.random.default_rng(0)
    samples = []
    for _ in range(KEPT):
        feeds = {}
        for value in graph.input:
            if value.name in weights:
                continue
            kind = value.type.tensor_type
            shape = [dimension.dim_value for dimension in kind.shape.dim]
            dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
            feeds[value.name] = np.asarray(random.standard_normal(shape)).astype(dtype)
        samples.append(feeds)
    return samples


def by_onnxruntime() -> Callable[[Path, Path, str, Samples], None]:
    """The stock Q/DQ model for QNN, made in the documented steps."""
    from onnxruntime.quantization import CalibrationMethod, QuantType, quantize
    from onnxruntime.quantization.execution_providers.qnn import (
        get_qnn_qdq_config,
        qnn_preprocess_model,
    )

    def run(model: Path, output: Path, method: str, samples: Samples) -> None:
        ready = output.with_suffix(".ready.onnx")
        if qnn_preprocess_model(str(model), str(ready)):
            model = ready
        config = get_qnn_qdq_config(
            str(model),
            samples,
            calibrate_method=CalibrationMethod[method],
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )
        quantize(str(model), str(output), config)

    return run


def by_snapq() -> Callable[[Path, Path, str, Samples], None]:
    """What the prepare stage and `quantize: {preset: fast, observer: METHOD}` make."""
    # The imports, which are not what is timed; some of these modules the work imports itself.
    from snapq import evaluation  # noqa: F401
    from snapq.api.one_stage import stage_file
    from snapq.config import QuantizeConfig
    from snapq.graph.passes.run import all_passes
    from snapq.precision import Preset
    from snapq.progress import Silent
    from snapq.quantization.calibration.observers.base import observer_names
    from snapq.runtime import import_onnxruntime
    from snapq.stages import prepare as prepare_stage  # noqa: F401

    import_onnxruntime()
    all_passes()
    observer_names()

    def run(model: Path, output: Path, method: str, samples: Samples) -> None:
        options = QuantizeConfig(preset=Preset.FAST, observer=method, never_slower=False)
        stage_file("quantize", model, output, samples, options, ["qcs9075"], {}, Silent())

    return run


def peak_mb() -> float:
    """Largest resident memory of this process.

    `getrusage`, which serves where there is no /proc, counts what the process had been before it
    became this program: a copy of the one that started it.
    """
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) / 1024


def main() -> None:
    """Quantizes one model."""
    tool, model, output, method, count, *folder = sys.argv[1:]
    samples = Samples(Path(model), int(count), Path(folder[0]) if folder else None)
    run = {"snapq": by_snapq, "onnxruntime": by_onnxruntime}[tool]()
    gc.collect()  # what the imports made would else be looked through in what is timed
    wall, processor = time.monotonic(), time.process_time()
    run(Path(model), Path(output), method, samples)
    seconds = {"wall": time.monotonic() - wall, "processor": time.process_time() - processor}
    print(json.dumps({**seconds, "peak_mb": peak_mb()}), flush=True)


if __name__ == "__main__":
    main()
