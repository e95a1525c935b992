"""Where each node runs, and why."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import onnx
import pytest

from snapq.devices.profiles import DeviceProfile
from snapq.errors import QnnError
from snapq.npu.qnn.options import CompileOptions
from snapq.npu.qnn.placement import place

FP16 = CompileOptions(fp16=True)


def test_a_model_that_the_npu_can_run_runs_there_whole(
    w8a8_cnn: Path, sm8650: DeviceProfile
) -> None:
    placement = place(w8a8_cnn, sm8650)
    names = [node.name for node in onnx.load(str(w8a8_cnn)).graph.node]
    assert [node.name for node in placement.nodes] == names
    assert placement.cpu == 0
    assert placement.partitions == 1


def test_a_refused_node_is_named_with_the_providers_reason(
    mixed_cnn: Path, sm8650: DeviceProfile
) -> None:
    placement = place(mixed_cnn, sm8650, FP16)
    off = [node for node in placement.nodes if node.unit == "cpu"]
    assert [(node.name, node.op_type) for node in off] == [("remainder", "Mod")]
    assert off[0].reason == "QNN Mod Op only support fmod == 0 for now."
    assert placement.partitions == 2
    record = placement.record("fp16", sm8650)
    assert (record.npu, record.cpu, record.cpu_nodes) == (placement.npu, 1, tuple(off))


def test_names_are_the_models_own_although_onnxruntime_changes_the_layout(
    float_cnn: Path, sm8650: DeviceProfile
) -> None:
    placement = place(float_cnn, sm8650, FP16)
    found = {node.name: node.unit for node in placement.nodes}
    assert found["first"] == found["second"] == "npu"


def test_nodes_without_a_name_are_called_by_their_place(
    mixed_cnn: Path, sm8650: DeviceProfile, tmp_path: Path
) -> None:
    model = onnx.load(str(mixed_cnn))
    for node in model.graph.node:
        node.name = "same" if node.op_type == "Conv" else ""
    onnx.save(model, str(tmp_path / "nameless.onnx"))
    placement = place(tmp_path / "nameless.onnx", sm8650, FP16)
    names = [node.name for node in placement.nodes]
    assert names[:4] == ["same", "Relu_1", "Mod_2", "Conv_3"]
    assert [node.name for node in placement.nodes if node.unit == "cpu"] == ["Mod_2"]


def test_a_backend_that_does_not_start_is_an_error_and_not_a_model_on_the_cpu(
    w8a8_cnn: Path, sm8650: DeviceProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snapq.npu.qnn.option_table.REJECTED_SOC_IDS", frozenset())
    unknown = dataclasses.replace(sm8650, soc_id=14)
    with pytest.raises(QnnError, match=r"14001 QNN_DEVICE_ERROR_INVALID_CONFIG"):
        place(w8a8_cnn, unknown)
