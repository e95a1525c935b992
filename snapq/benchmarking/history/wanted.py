"""Which results of the history are asked for."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Wanted:
    """A filter; what is None does not matter.

    Attributes:
        deployment: `name` of the deploy.yaml.
        model: name of the model's file, or the beginning of its hash or of the given model's.
        stage: the stage that made the model: `source`, `package`.
        precision: `float32`, `w8a8`.
        device: the chip of the board.
        target: where it was measured.
        data: the beginning of the hash of calibration or evaluation samples.
    """

    deployment: str | None = None
    model: str | None = None
    stage: str | None = None
    precision: str | None = None
    device: str | None = None
    target: str | None = None
    data: str | None = None

    def sql(self) -> tuple[str, list[str]]:
        """The condition, and the values for its marks."""
        terms, values = ["1"], list[str]()
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                continue
            term, marks = _TERMS[field.name]
            terms.append(f"({term})")
            values += [value] * marks
        return " AND ".join(terms), values


_TERMS = {
    "deployment": ("deployment = ?", 1),
    "model": (
        "model = ? OR substr(given, 1, length(?)) = ? OR substr(sha256, 1, length(?)) = ?",
        5,
    ),
    "stage": ("stage = ?", 1),
    "precision": ("coalesce(precision, label) = ?", 1),
    "device": ("device = ?", 1),
    "target": ("target = ?", 1),
    "data": (
        "substr(calibration, 1, length(?)) = ? OR substr(evaluation, 1, length(?)) = ?",
        4,
    ),
}
"""Condition over both tables, and how often the value stands in it."""
