"""Silero VAD on real speech: frame accuracy of float against the simulated package, state fed back.

    python benchmarks/silero_vad/run.py [--runs DIR] [--steps N] [PRECISION …]

The model is the one of the package silero-vad with its LSTM node, the speech that of the package
pyannote-audio; both come from PyPI. The state that the NPU gives at a step goes into the next one.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import snapq
from snapq.config import DeployConfig

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests import assets

HERE = Path(__file__).resolve().parent

PRECISIONS = {
    "w8a16": {"activations": "uint16"},
    "w8a8": {},
}


def config(precision: str, steps: int) -> DeployConfig:
    """The deployment at one precision."""
    data = {"python": "steps:steps", "state": {"stateN": "state"}}
    return DeployConfig.model_validate(
        {
            "name": f"silero-vad-{precision}",
            "model": {"path": assets.silero_vad_lstm()},
            "devices": ["qcs9075"],
            "data": {"calibration": data, "evaluation": {**data, "samples": steps}},
            "metric": {"output": "steps:frame_accuracy"},
            "stages": [
                {"quantize": PRECISIONS[precision]},
                {"package": {"optimization_modes": [3], "golden_samples": 1}},
            ],
            "gates": {"max_accuracy_drop": 0.01, "npu_nodes": "all"},
        }
    ).at(HERE)


def main() -> None:
    """Prints one line a precision."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("precisions", nargs="*", default=list(PRECISIONS), metavar="PRECISION")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--steps", type=int, default=900)
    arguments = parser.parse_args()
    for precision in arguments.precisions:
        record = snapq.run(config(precision, arguments.steps), runs=arguments.runs).record
        by_label = {found.label: found for found in record.accuracy}
        floats, ours = by_label["float"], by_label[precision]
        quality = {found.output: f"{found.sqnr_db:.1f}" for found in record.fidelity}
        print(
            f"{precision}: frame accuracy {floats.value:.4f} float, {ours.value:.4f} "
            f"{ours.where}, {ours.samples} steps; SQNR in dB {quality}; "
            + ", ".join(
                f"{gate.name} {'held' if gate.passed else 'FAILED'}" for gate in record.gates
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
