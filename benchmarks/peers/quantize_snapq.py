"""Quantizes with snapq, as the others are run: in a process of its own; run by compare.py.

python quantize_snapq.py MODEL SAMPLES.npz OUTPUT w8a8|w8a16|w4a16 PRESET
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

import snapq

TYPES = {"w8a8": ("int8", "uint8"), "w8a16": ("int8", "uint16"), "w4a16": ("int4", "uint16")}


def main() -> None:
    """Quantizes one model."""
    model, samples, output, precision, preset = sys.argv[1:]
    arrays = dict(np.load(samples))

    def feeds() -> Iterator[dict[str, np.ndarray]]:
        for index in range(len(next(iter(arrays.values())))):
            yield {name: array[index] for name, array in arrays.items()}

    weights, activations = TYPES[precision]
    snapq.quantize(
        model,
        feeds(),
        weights=weights,
        activations=activations,
        preset=preset,
        devices=["qcs9075"],
        output=output,
    )


if __name__ == "__main__":
    main()
