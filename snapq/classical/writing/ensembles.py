"""An ensemble for a CPU: TreeEnsemble of ai.onnx.ml 5, whose leaves have one weight each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from snapq.classical.ensemble import Ensemble
from snapq.classical.writing.trees import Trees, one_weight, write_trees
from snapq.classical.writing.writer import Writer

_FLOAT64, _INT32 = 11, 6


def write_ensemble(writer: Writer, form: Ensemble, rows: str, sums: str) -> None:
    """Writes the sums float64 [N, targets] of an ensemble.

    Where each leaf has one weight the node gives the sums. Leaves of several targets become
    entries of a table: the node gives the entry of each tree, which is taken and added up.

    Args:
        writer: takes the nodes.
        form: the ensemble.
        rows: name of the rows.
        sums: name of the sums.
    """
    form, alone = _without_single_leaves(form)
    if alone.any():
        rest = writer.fresh()
        _write(writer, form, rows, rest)
        writer.add("Add", rest, writer.constant(alone[None]), outputs=[sums])
    else:
        _write(writer, form, rows, sums)


def _without_single_leaves(form: Ensemble) -> tuple[Ensemble, NDArray[np.float64]]:
    """An ensemble without the trees that are one leaf (but one tree), and what these add."""
    single = form.condition[form.roots] < 0
    if single.all():
        single[0] = False
    return replace(form, roots=form.roots[~single]), form.values[form.roots[single]].sum(0)


def _write(writer: Writer, form: Ensemble, rows: str, sums: str) -> None:
    trees = Trees(form.arrays)
    several = (form.values != 0).sum(1).max(initial=0) > 1
    exact = (form.values.astype(np.float32) == form.values).all()
    if not several and exact:
        found = write_trees(writer, trees, rows, one_weight(form.values), form.targets)
        writer.add("Cast", found, outputs=[sums], to=_FLOAT64)
        return
    leaves = form.leaves[trees.tree_of[form.leaves] >= 0]
    table, entry = np.unique(form.values[leaves], axis=0, return_inverse=True)
    weights = np.zeros((len(form.values), 2))
    weights[:, 0] = trees.tree_of
    weights[leaves, 1] = entry.reshape(-1)
    found = write_trees(writer, trees, rows, weights, len(form.roots))
    indices = writer.add("Cast", found, to=_INT32)
    if exact:
        table = table.astype(np.float32)
    taken = writer.add("Gather", writer.constant(table), indices, axis=0)
    axis = writer.constant(np.array([1], np.int64))
    if exact:
        added = writer.add("ReduceSum", taken, axis, keepdims=0)
        writer.add("Cast", added, outputs=[sums], to=_FLOAT64)
    else:
        writer.add("ReduceSum", taken, axis, outputs=[sums], keepdims=0)
