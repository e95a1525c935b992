"""What snapq makes of one export, in figures: SQNR against float as given and as packaged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx_ir as ir

import snapq
from snapq.config import DeployConfig
from snapq.cpu import CpuModel
from snapq.errors import SnapqError
from snapq.evaluation.fidelity import sqnr_db
from snapq.graph import io
from snapq.graph.code_boundary import real_numbers_at_the_boundary
from snapq.graph.codes import Codes, codes_of
from snapq.graph.edit import constant
from snapq.graph.shapes import graph_inputs

__all__ = ["DEVICES", "Verdict", "judge"]

DEVICES = {"qcs9075": "v73", "qcs6490": "v68", "sm8650": "v75"}
_RUNS = (("qcs9075", "sm8650"), ("qcs6490",))
"""Devices that one package is made for: v68 has no floats and would hold the others back."""
_NEAR_DB = 1.0
"""How far below the given model's SQNR the package's may be: the NPU rounds otherwise."""
_SENTENCE = 170


@dataclass(frozen=True)
class Verdict:
    """What became of an export.

    Attributes:
        given: SQNR in dB of the export on the CPU against the float network; None where ONNX
            Runtime does not run it.
        packaged: the same of the package on the simulator, by device.
        nodes: nodes on the NPU (the fewest) and on the CPU (the most), of the packages.
        inspected: nodes of the export as given on the NPU and on the CPU, as `inspect` says.
        repairs: what the repair stage found, by rule.
        refused: the sentence in which snapq refuses it.
    """

    given: float | None
    packaged: dict[str, float] = field(default_factory=dict)
    nodes: tuple[int, int] = (0, 0)
    inspected: tuple[int, int] = (0, 0)
    repairs: dict[str, int] = field(default_factory=dict)
    refused: str | None = None

    @property
    def holds(self) -> bool:
        """Whether the package is as good as what was given, on every device, or is refused."""
        if self.refused is not None or self.given is None:
            return self.refused is not None
        return all(value >= self.given - _NEAR_DB for value in self.packaged.values())


def judge(export: Path, reference: Path, folder: Path) -> Verdict:
    """Sends an export through `inspect` and `run`; the working folder has the samples."""
    floats = io.load(reference)
    calibration, samples = (
        _laid_out(np.load(folder / f"{name}.npy"), floats) for name in ("calibration", "evaluation")
    )
    truth = list(_outputs(floats, list(samples)))
    try:
        given = _sqnr(truth, _outputs(io.load(export), list(samples)))
    except SnapqError:
        given = None
    try:
        return _packaged(export, given, truth, (calibration, samples), folder)
    except SnapqError as error:
        text = " ".join(str(error).split())
        short = text if len(text) <= _SENTENCE else f"{text[:_SENTENCE]}…"
        return Verdict(given, refused=short)


def _packaged(
    export: Path,
    given: float | None,
    truth: list[np.ndarray],
    data: tuple[np.ndarray, np.ndarray],
    folder: Path,
) -> Verdict:
    found = snapq.inspect(export, next(iter(DEVICES))).placements[0]
    np.save(folder / "fed.npy", data[0][:, 0])
    packaged, placed, repairs = {}, [], {}
    for devices in _RUNS:
        config = {
            "name": export.stem,
            "model": {"path": str(export)},
            "devices": list(devices),
            "data": {"calibration": {"arrays": str(folder / "fed.npy")}},
            "stages": [{"package": {"golden_samples": 1, "optimization_modes": [3]}}],
        }
        done = snapq.run(DeployConfig.model_validate(config).at(folder), runs=folder / "runs")
        assert done.bundle is not None
        package = done.bundle / "model.onnx"
        (value,) = graph_inputs(io.load(package))
        feeds = [{str(value.name): array} for array in data[1]]
        for device in devices:
            outputs = snapq.simulate(package, device, feeds)
            packaged[device] = _sqnr(truth, (next(iter(one.values())) for one in outputs))
        placed += [item for item in done.record.placements if item.label != "float"]
        stages = {stage.name: stage for stage in done.record.stages}
        repairs = stages["repair"].details["findings"] if "repair" in stages else {}
    return Verdict(
        given=given,
        packaged={device: packaged[device] for device in DEVICES},
        nodes=(min(item.npu for item in placed), max(item.cpu for item in placed)),
        inspected=(found.npu, found.cpu),
        repairs=repairs,
    )


def _laid_out(samples: np.ndarray, floats: ir.Model) -> np.ndarray:
    """Samples as a network takes them: Keras has channels last."""
    (value,) = graph_inputs(floats)
    last = value.shape is not None and value.shape[-1] == samples.shape[2]
    return samples.transpose(0, 1, 3, 4, 2) if last else samples


def _outputs(model: ir.Model, samples: list[np.ndarray]) -> Iterator[np.ndarray]:
    """The output of each sample as real numbers, also of a model that takes and gives codes."""
    rewritten = model.clone()
    real_numbers_at_the_boundary(rewritten)
    (taken,), (real,) = graph_inputs(model), graph_inputs(rewritten)
    codes, output = codes_of(real), model.graph.outputs[0]
    cpu = CpuModel(model, optimize=False)
    for sample in samples:
        fed = _codes(sample, codes) if codes is not None else sample
        array = cpu.run({str(taken.name): fed})[str(output.name)]
        last = rewritten.graph.outputs[0].producer()
        if not np.issubdtype(array.dtype, np.floating) and last is not None:
            scale, zero = (np.asarray(constant(v), np.float64) for v in last.inputs[1:3])
            array = (array - zero) * scale
        yield array


def _codes(sample: np.ndarray, codes: Codes) -> np.ndarray:
    info = np.iinfo(codes.dtype)
    found = np.rint(sample / codes.scale) + codes.zero_point
    return np.clip(found, info.min, info.max).astype(codes.dtype)


def _sqnr(truth: list[np.ndarray], outputs: Iterator[np.ndarray]) -> float:
    """SQNR in dB over all samples."""
    found = np.stack([np.asarray(array, np.float64) for array in outputs])
    return sqnr_db(np.stack(truth).reshape(found.shape), found)
