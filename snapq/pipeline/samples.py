"""Reads every sample of a run beforehand: one that is damaged is found now, not hours later."""

from __future__ import annotations

from snapq.pipeline.inputs import Setting
from snapq.progress import Progress


def read_all(setting: Setting, progress: Progress) -> None:
    """Reads all samples as the run will: calibration, training, evaluation.

    Random ones are left out, as nothing can be wrong with them.

    Raises:
        DataError: a sample cannot be read, does not fit the model or is not finite.
    """
    named = (
        ("calibration", setting.calibration),
        ("training", setting.training),
        ("evaluation", setting.evaluation),
    )
    seen: list[object] = []
    for name, data in named:
        if data is None or data.random or any(data is one for one in seen):
            continue
        seen.append(data)
        with progress.track(f"Read the {name} samples", len(data)) as advance:
            for _ in data:
                advance(1)
