"""Trees that no library would write, against ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from snapq.classical.model import ClassicalModel
from snapq.classical.rewrite import rewrite_for_cpu
from snapq.errors import ModelError
from tests.classical.random_ensemble import FEATURES, MEMBERS, tree_ensemble
from tests.classical.random_trees import (
    MODES,
    NASTY,
    Kind,
    classifier,
    hard_rows,
    random_lists,
    regressor,
)
from tests.classical.reference import assert_same, onnxruntime_answers

KINDS = st.builds(
    Kind,
    features=st.integers(1, 3),
    depth=st.integers(0, 4),
    modes=st.one_of(st.just(MODES), st.sampled_from(MODES).map(lambda mode: (mode,))),
    ids=st.sampled_from([(0,), (1,), (0, 1)]),
    all_ids=st.booleans(),
    negative=st.booleans(),
)
POST = st.sampled_from(["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"])
REFUSED = ("some of its leaves leave a class out", "ONNX Runtime answers from its base values")


def _base(rng: np.random.Generator, count: int) -> dict[str, list[float]]:
    return {"base_values": rng.normal(size=count).astype(np.float32).tolist()} if count else {}


@contextmanager
def _refusal() -> Iterator[None]:
    """Allows what snapq refuses, because ONNX Runtime contradicts the definition there."""
    try:
        yield
    except ModelError as error:
        if not error.what.startswith(REFUSED):
            raise


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), KINDS, st.integers(1, 3), POST, st.booleans())
def test_classifiers_answer_like_onnxruntime(
    seed: int, kind: Kind, trees: int, post: str, text: bool
) -> None:
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 5))
    lists = random_lists(rng, trees, kind)
    labels = ["no", "yes", "maybe", "never"] if text else [10, 20, 30, 40]
    base = _base(rng, int(rng.choice([0, classes, 1 if classes == 2 else 0])))
    model = classifier(lists, labels[:classes], kind.features, post_transform=post, **base)
    rows = hard_rows(rng, kind.features, NASTY)
    expected = onnxruntime_answers(model, {"x": rows})
    with _refusal():
        read = ClassicalModel.read(model)
        assert_same(read.run(rows), expected)
        assert_same(read.program().run({"x": rows}), expected)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32),
    KINDS,
    st.integers(1, 3),
    POST,
    st.sampled_from(["SUM", "AVERAGE", "MIN", "MAX"]),
)
def test_regressors_answer_like_onnxruntime(
    seed: int, kind: Kind, trees: int, post: str, aggregate: str
) -> None:
    rng = np.random.default_rng(seed)
    targets = int(rng.integers(max(kind.ids) + 1, 4))
    lists = random_lists(rng, trees, kind)
    options = {"post_transform": post, "aggregate_function": aggregate}
    base = _base(rng, int(rng.choice([0, targets])))
    model = regressor(lists, targets, kind.features, **options, **base)
    rows = hard_rows(rng, kind.features, NASTY)
    read = ClassicalModel.read(model)
    expected = onnxruntime_answers(model, {"x": rows})
    assert_same(read.run(rows), expected)
    assert_same(read.program().run({"x": rows}), expected)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 3), st.sampled_from([0, 3]), st.booleans())
def test_the_newest_operator_answers_like_onnxruntime(
    seed: int, aggregate: int, post: int, share: bool
) -> None:
    model = tree_ensemble(seed, aggregate, post, share)
    rng = np.random.default_rng(seed)
    rows = hard_rows(rng, FEATURES, (*NASTY, *map(float, range(0, MEMBERS, 3))))
    expected = onnxruntime_answers(model, {"x": rows})
    read = ClassicalModel.read(model)
    assert_same(read.run(rows), expected)
    assert_same(read.program().run({"x": rows}), expected)
    written = onnxruntime_answers(rewrite_for_cpu(read), {"x": rows})
    assert_same({"y": written[0]}, expected)
