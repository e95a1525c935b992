"""What to do about a model that is far from float."""

from __future__ import annotations

from snapq.quantization.notes import Note, NoteKind
from snapq.quantization.qdq.scheme import Scheme

__all__ = ["advice"]

_FAR = 12.0
"""SQNR at the outputs in dB below which noise has a quarter of their amplitude."""


def advice(decibels: float, scheme: Scheme, on: str = "") -> tuple[Note, ...]:
    """One note on the SQNR at the outputs (CPU), ` on ...` these samples; none if it is enough."""
    if decibels >= _FAR:
        return ()
    more = "`activations: uint16`, or " if scheme.largest_activation_bits <= 8 else ""
    text = (
        f"{decibels:.1f} dB at the outputs{on}, on the CPU, is far from float: try {more}"
        "`mixed_precision: {min_sqnr_db: 20}`, which gives more bits only to what needs them."
    )
    return (Note(NoteKind.ADVICE, (), text),)
