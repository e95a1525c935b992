"""What sharing weights does to each kind of size: the Q/DQ model, the compiled binary, a download.

    python benchmarks/clustering.py [--runs DIR] [--channels 256]

Three 3x3 convolutions with weights from the normal distribution: dense, with free codebooks, and
with even ones, which are stored as int4. Bytes are of the files that a run leaves; compressed is
zlib level 6 of the binary that the device loads; the estimate is Qualcomm's for the QCS9075.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import snapq
from snapq.config import DeployConfig

VARIANTS = {
    "dense int8": [],
    "free, 64 values": [{"cluster": {"clusters": 64}}],
    "free, 16 values": [{"cluster": {"clusters": 16}}],
    "even, 16 values (int4)": [{"cluster": {"clusters": 16, "spacing": "even"}}],
}


def write_model(path: Path, channels: int) -> None:
    """Three convolutions, one behind the other."""
    rng = np.random.default_rng(0)
    size = (channels, channels, 3, 3)
    nodes, constants = [], []
    for index in range(3):
        weight = rng.normal(0, (2 / channels / 9) ** 0.5, size).astype(np.float32)
        constants.append(numpy_helper.from_array(weight, f"w{index}"))
        taken = "x" if index == 0 else f"r{index - 1}"
        nodes.append(
            helper.make_node("Conv", [taken, f"w{index}"], [f"c{index}"], pads=[1, 1, 1, 1])
        )
        nodes.append(helper.make_node("Relu", [f"c{index}"], [f"r{index}"]))
    shape = [1, channels, 14, 14]
    graph = helper.make_graph(
        nodes,
        "three",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("r2", TensorProto.FLOAT, shape)],
        constants,
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)


def main() -> None:
    """Prints one line a variant."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--channels", type=int, default=256)
    arguments = parser.parse_args()
    print(
        f"{'':24}{'Q/DQ model':>12}{'compiled':>12}{'compressed':>12}{'est. us':>9}{'SQNR dB':>9}"
    )
    with tempfile.TemporaryDirectory(prefix="snapq-") as folder:
        model = Path(folder) / "three.onnx"
        write_model(model, arguments.channels)
        for label, cluster in VARIANTS.items():
            config = DeployConfig.model_validate(
                {
                    "name": "clustering",
                    "model": {"path": model},
                    "devices": ["qcs9075"],
                    "data": {"calibration": {"random": True, "samples": 4}},
                    "stages": [
                        *cluster,
                        {"quantize": {}},
                        {"package": {"optimization_modes": [3], "golden_samples": 1}},
                    ],
                }
            )
            record = snapq.run(config, runs=arguments.runs).record
            quantized = next(stage for stage in record.stages if stage.name == "quantize")
            binary = next(f for f in record.bundle[0].files if f.path.endswith(".bin"))
            us = next(e.us for e in record.estimates if e.label == quantized_label(record))
            quality = min(found.sqnr_db for found in record.fidelity)
            print(
                f"{label:24}{quantized.model.bytes:12,}{binary.bytes:12,}"
                f"{binary.bytes_compressed:12,}{us:9.0f}{quality:9.1f}",
                flush=True,
            )


def quantized_label(record: snapq.records.RunRecord) -> str:
    """Label of the package."""
    label: str = record.fidelity[0].label
    return label


if __name__ == "__main__":
    main()
