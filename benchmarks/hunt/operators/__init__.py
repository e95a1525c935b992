"""What the hunt draws from: operators, and small groups of operators that networks chain."""

from __future__ import annotations

from benchmarks.hunt.operators.attention import ATTENTION
from benchmarks.hunt.operators.elementwise import ELEMENTWISE
from benchmarks.hunt.operators.layers import LAYERS
from benchmarks.hunt.operators.movement import MOVEMENT
from benchmarks.hunt.operators.normalizations import NORMALIZATIONS
from benchmarks.hunt.operators.reductions import REDUCTIONS
from benchmarks.hunt.operators.selections import SELECTIONS
from benchmarks.hunt.operators.sequences import SEQUENCES
from benchmarks.hunt.operators.table import Row

TABLE: dict[str, Row] = {
    **LAYERS,
    **ELEMENTWISE,
    **NORMALIZATIONS,
    **MOVEMENT,
    **REDUCTIONS,
    **ATTENTION,
    **SELECTIONS,
    **SEQUENCES,
}
"""Every operator by its name in recipes."""
EMITTERS = {name: row.emit for name, row in TABLE.items()}
