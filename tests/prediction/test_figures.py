"""benchmarks.prediction: which public latencies and which estimates are held against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.prediction import figures
from benchmarks.prediction.figures import Case
from benchmarks.zoo.networks import Network, networks

HEAD = "model,component,precision,device,runtime,ms,npu_layers,gpu_layers,cpu_layers\n"
NET = Network("net", "public_net", None, {})


def measured(folder: Path, *rows: str) -> figures.Measured:
    path = folder / "figures.csv"
    path.write_text(HEAD + "".join(f"public_net,Net,{row}\n" for row in rows))
    return figures.measured(path)


def estimated(precision: str, us: float, **more: Any) -> dict[str, Any]:
    known: dict[str, Any] = {"boundary_bytes": 1, "macs": 1, "nodes": 1, "normalized": 1, "ddr": {}}
    known |= {"missing_ops": 0, "kind": "convolutional"}
    return {"network": "net", "soc": "qcs9075", "precision": precision, "us": us, **known, **more}


def cases(found: figures.Measured, *rows: dict[str, Any], precision: str = "float") -> list[Case]:
    return figures.cases(rows, [NET], found, "board", precision, "onnx", "qcs9075")


def test_a_latency_with_layers_off_the_npu_does_not_count(tmp_path: Path) -> None:
    found = measured(tmp_path, "w8a8,board,onnx,9,10,0,1", "w8a8,board,qnn_dlc,2,10,0,0")
    assert figures.latency(found, NET, "w8a8", "board", "onnx") is None
    assert figures.latency(found, NET, "w8a8", "board", "best") == 2000


def test_a_runtime_that_is_not_public_of_a_network_counts_as_it_compares_elsewhere(
    tmp_path: Path,
) -> None:
    rows = [
        f"w8a8,{figures.REFERENCE},tflite,6,10,0,0",
        f"w8a8,{figures.REFERENCE},qnn_dlc,2,10,0,0",
        "w8a8,board,tflite,9,10,0,0",
    ]
    found = measured(tmp_path, *rows)
    assert figures.latency(found, NET, "w8a8", "board", "best") == 9000  # the board has no other
    found = measured(tmp_path, *rows) | {("other", "Net", "w8a8", "board"): {"qnn_dlc": 1.0}}
    assert figures.latency(found, NET, "w8a8", "board", "best") == pytest.approx(3000)


def test_a_precompiled_model_is_onnx_runtime_too_where_there_is_no_other(tmp_path: Path) -> None:
    precompiled = "float,board,precompiled_qnn_onnx,3,10,0,0"
    found = measured(tmp_path, precompiled)
    assert figures.latency(found, NET, "float", "board", "onnx") == 3000
    found = measured(tmp_path, precompiled, "float,board,onnx,4,10,0,0")
    assert figures.latency(found, NET, "float", "board", "onnx") == 4000


def test_the_faster_float_form_is_held_against_the_latency(tmp_path: Path) -> None:
    found = measured(tmp_path, "float,board,onnx,4,10,0,0")
    (case,) = cases(found, estimated("given", 1500), estimated("fp16", 3300))
    assert (case.estimate_us, case.measured_us) == (1500, 4000)


def test_estimates_with_missing_operations_or_none_are_left_out(tmp_path: Path) -> None:
    found = measured(tmp_path, "w8a8,board,onnx,4,10,0,0")
    failed = {"network": "net", "soc": "qcs9075", "precision": "w8a8", "failed": "not done"}
    rows = (estimated("w8a8", 100, missing_ops=1), failed, estimated("w8a16", 100))
    assert cases(found, *rows, precision="w8a8") == []


def test_no_network_stands_for_a_public_model_twice() -> None:
    public = [(one.public, one.component) for one in networks() if one.public]
    assert len(public) == len(set(public)) >= 50
