"""Leaves come into blocks whole, with all conditions on their ways, and few of these twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from snapq.classical.trees.blocks import MOST_COUNTED, pack
from snapq.classical.trees.forest import gather
from tests.classical.trees.forests import Kind, ensemble, estimator


@given(
    seed=st.integers(0, 10_000),
    trees=st.integers(1, 20),
    width=st.sampled_from([32, 64, 128]),
    parts=st.integers(1, 5),
)
def test_every_leaf_is_in_one_block_with_its_conditions(
    seed: int, trees: int, width: int, parts: int
) -> None:
    forest = gather([estimator(seed, Kind(trees=trees, depth=6))])
    packed = pack(forest, width, parts)
    found = Counter(
        (tree, leaf.node) for part in packed for block in part.blocks for tree, leaf in block.leaves
    )
    wanted = [(t, leaf.node) for t, tree in enumerate(forest.trees) for leaf in tree.leaves]
    assert found == Counter(wanted)
    for part in packed:
        for block in part.blocks:
            assert {c for _, leaf in block.leaves for c in leaf.conditions} == set(block.conditions)
            assert len(block.leaves) <= part.leaves <= width
            assert len(block.conditions) <= part.conditions


def test_no_part_has_more_trees_than_a_byte_can_count() -> None:
    forest = gather([estimator(0, Kind(trees=600, depth=1, ragged=False))])
    sizes = [len(part.trees) for part in pack(forest, 256, 1)]
    assert sum(sizes) == 600
    assert max(sizes) == MOST_COUNTED


def test_trees_of_different_targets_are_counted_apart() -> None:
    kind = Kind(trees=500, depth=1, targets=5, one_target=True, ragged=False)
    assert len(pack(gather([estimator(0, kind)]), 256, 1)) == 1


def test_a_deep_tree_is_cut_into_blocks_far_smaller_than_itself() -> None:
    forest = gather([estimator(0, Kind(trees=1, depth=10, features=20, ragged=False))])
    (part,) = pack(forest, 64, 1)
    weights = len(part.blocks) * part.conditions * part.leaves
    assert weights < 0.2 * forest.leaves * len(forest.conditions)


def test_equal_conditions_are_shared() -> None:
    kind = Kind(trees=40, depth=4, thresholds=(0.0, 0.5, 1.0), features=4)
    (part,) = pack(gather([estimator(0, kind)]), 256, 1)
    assert part.conditions == 32


def test_leaves_that_no_row_reaches_and_leaves_that_add_nothing_are_left_out() -> None:
    kind = Kind(trees=1, depth=6, features=1, ragged=False)
    form = ensemble(0, kind)
    reached = np.unique(form.leaf_of(np.linspace(-9, 9, 100_001, dtype=np.float32)[:, None]))
    forest = gather([replace(estimator(0, kind), form=form)])
    assert forest.leaves == len(reached) - 1
