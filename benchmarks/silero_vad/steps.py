"""Real speech as steps of Silero VAD, and the share of steps in which it hears what is there.

A step is 512 new samples at 16 kHz behind the last 64 of the step before (1x576). The label says
whether somebody speaks in the middle of the new ones.
"""

from __future__ import annotations

import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

RATE, NEW, CONTEXT = 16_000, 512, 64


def steps() -> Iterator[tuple[dict[str, np.ndarray], int]]:
    """Yields `({input: audio}, speaks)`."""
    from tests import assets

    yield from steps_of(*assets.speech())


def steps_of(audio: Path, marks: Path) -> Iterator[tuple[dict[str, np.ndarray], int]]:
    """Yields the steps of a WAV file with its RTTM marks."""
    with wave.open(str(audio)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    signal = np.concatenate([np.zeros(CONTEXT), samples / 32768]).astype(np.float32)
    turns = [line.split() for line in marks.read_text().splitlines()]
    spoken = [(float(turn[3]), float(turn[3]) + float(turn[4])) for turn in turns]
    for start in range(0, len(samples) - NEW + 1, NEW):
        middle = (start + NEW / 2) / RATE
        speaks = any(low <= middle < high for low, high in spoken)
        yield {"input": signal[None, start : start + NEW + CONTEXT]}, int(speaks)


def frame_accuracy(outputs: dict[str, np.ndarray], label: int) -> float:
    """1 where the probability of speech is on the right side of one half."""
    return float((outputs["output"].item() >= 0.5) == bool(label))
