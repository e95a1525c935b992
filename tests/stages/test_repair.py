"""The repair stage gives what came without encodings the bits that it needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from snapq.config import PrepareConfig, RepairConfig
from snapq.cpu import CpuModel
from snapq.devices.profiles import find
from snapq.evaluation.fidelity import sqnr_db
from snapq.evaluation.samples import Sample
from snapq.graph import io
from snapq.stages import prepare, repair
from snapq.stages.base import Context, Input, Outcome, Source
from tests.quantization.foreign_models import feeds, floats_between_layers, read_in_float_beside_a_q

DEVICE = "qcs6490"
"""Without floats, so that what has no encoding needs one."""


class Samples:
    """Samples in memory."""

    random = False
    description = "samples of the test"

    def __len__(self) -> int:
        return 8

    def __iter__(self):  # type: ignore[no-untyped-def]
        return (Sample(f"sample {i}", feed) for i, feed in enumerate(feeds(8)))

    def fingerprint(self) -> str:
        return "test"


def repaired(proto: onnx.ModelProto, folder: Path) -> tuple[ir.Model, Outcome]:
    """What the stages prepare and repair make of a model."""
    given, prepared = folder / "given", folder / "prepared"
    for place in (given, prepared):
        place.mkdir()
    io.save(ir.from_proto(proto), given / "model.onnx")
    prepare.write(io.load(given / "model.onnx"), PrepareConfig(), prepared)
    values = {
        Input.GIVEN: Source(given / "model.onnx", "float", given),
        Input.PREVIOUS: Source(prepared / "model.onnx", "float", prepared),
        Input.DEVICES: (find(DEVICE),),
        Input.CALIBRATION: Samples(),
    }
    context = Context(repair.reads(RepairConfig()), values)
    outcome = repair.run(RepairConfig(), context, folder)
    return io.load(folder / "model.onnx"), outcome


def types(model: ir.Model) -> dict[str, ir.DataType | None]:
    """Type in which each tensor that a Q takes is held."""
    return {
        str(node.inputs[0].name).removesuffix("_float"): node.inputs[2].dtype
        for node in model.graph
        if node.op_type == "QuantizeLinear"
    }


def fidelity(proto: onnx.ModelProto, model: ir.Model) -> float:
    """SQNR in dB of a model against the one that was given."""
    first, second = (CpuModel(m, optimize=False) for m in (ir.from_proto(proto), model))
    pairs = [(first.run(feed)["y"], second.run(feed)["y"]) for feed in feeds(4)]
    truth, found = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
    return sqnr_db(truth, found)


def test_what_was_left_in_float_has_16_bits_where_8_cost_accuracy(tmp_path: Path) -> None:
    given = floats_between_layers()
    model, outcome = repaired(given, tmp_path)
    held = types(model)
    assert (held["x"], held["squares"]) == (ir.DataType.UINT8, ir.DataType.UINT16)
    assert fidelity(given, model) > 50
    assert any("3 nodes came without an encoding" in note for note in outcome.notes)


@pytest.mark.parametrize(("high", "clips"), [(12.0, 0), (1.0, 1)])
def test_readers_in_float_keep_what_a_q_beside_them_saturates(
    high: float, clips: int, tmp_path: Path
) -> None:
    given = read_in_float_beside_a_q(high)
    model, _ = repaired(given, tmp_path)
    # One that saturates nothing shares its encoding with them, and nothing is rounded twice.
    assert sum(node.op_type == "Clip" for node in model.graph) == clips
    assert fidelity(given, model) > 30
