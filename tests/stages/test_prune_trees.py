"""The prune stage of tree ensembles, and where it may stand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import snapq
from snapq.classical.model import ClassicalModel
from snapq.config import PruneConfig, PruneTrees
from snapq.errors import ConfigError, DataError, SnapqError
from snapq.evaluation.samples import Dataset, Sample
from snapq.pipeline.inputs import load_setting
from snapq.stages.prune_trees import prune_trees
from tests.classical import exports
from tests.classical.tables import forest, machine, write


def _table(rows: Any, labels: Any, batch: int = 32) -> Dataset:
    def samples() -> Iterator[Sample]:
        for start in range(0, len(rows), batch):
            part = rows[start : start + batch]
            own = None if labels is None else np.array(labels[start : start + batch], object)
            filled = np.resize(part, (batch, *part.shape[1:]))
            yield Sample("table", {"X": filled}, label=own, rows=len(part))

    return Dataset(samples, len(rows), "a table", lambda: "")


@pytest.mark.parametrize("text", [False, True])
def test_trees_become_smaller_and_the_stage_says_by_how_much(text: bool) -> None:
    rows, labels = exports.data("digits")
    if text:
        labels = labels.astype(str)
    model = exports.sklearn(exports.forest(8), "digits", lambda _: labels, convert=exports.PLAIN)
    notes: list[str] = []
    details: dict[str, Any] = {}
    pruned = prune_trees(
        ir.from_proto(model), PruneTrees(most_loss=0.03), _table(rows, labels), notes, details
    )
    before, after = details["trees"]["before"], details["trees"]["after"]
    assert after["nodes"] < 0.6 * before["nodes"]
    assert after["bytes"] < 0.6 * before["bytes"]
    assert after["score"] >= before["score"] - 0.03
    assert notes[0].startswith(f"Trees have {after['nodes']:,} of {before['nodes']:,} nodes")
    assert "898 rows that were held out" in notes[0]
    answers = next(iter(ClassicalModel.read(pruned).run(rows).values()))
    assert np.mean(answers == labels) > 0.9


@pytest.mark.parametrize(
    ("labels", "error", "reason"),
    [(None, ConfigError, "rows with labels"), ([1, 2, 1], DataError, "3 rows are too few")],
)
def test_rows_without_labels_or_too_few_are_refused(
    labels: list[int] | None, error: type[SnapqError], reason: str
) -> None:
    model = ir.from_proto(exports.TREES["forest"][1]())
    rows = exports.data("cancer")[0][:3]
    with pytest.raises(error, match=reason):
        prune_trees(model, PruneTrees(), _table(rows, labels), [], {})


def test_trees_are_pruned_apart_from_channels() -> None:
    with pytest.raises(ValueError, match="`trees` is for tree ensembles"):
        PruneConfig(trees=PruneTrees(), ratio=0.3)
    with pytest.raises(ValueError, match="of tree ensembles `trees`"):
        PruneConfig()


DEPLOY = """\
name: table
model: {{path: model.onnx, inputs: {{x: [8, 4]}}}}
devices: [qcs9075]
data: {{calibration: {{table: rows.csv, label: class}}}}
stages: [{{prune: {options}}}]
"""


@pytest.mark.parametrize(
    ("model", "options", "reason"),
    [
        (forest(), "{ratio: 0.3}", "no channels, blocks or layers"),
        (machine(), "{blocks: 1}", "no channels, blocks or layers"),
        (None, "{trees: {}}", "`trees` is for tree ensembles"),
    ],
    ids=["forest", "machine", "network"],
)
def test_a_prune_stage_for_something_else_is_refused(
    tmp_path: Path, model: onnx.ModelProto | None, options: str, reason: str
) -> None:
    write(tmp_path, model or forest())
    if model is None:
        onnx.save(_network(), tmp_path / "model.onnx")
    (tmp_path / "deploy.yaml").write_text(DEPLOY.format(options=options))
    with pytest.raises(SnapqError, match=reason):
        load_setting(snapq.load(tmp_path / "deploy.yaml"))


def _network() -> onnx.ModelProto:
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    ports = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [8, 4]) for name in "xy"
    ]
    graph = onnx.helper.make_graph([node], "net", ports[:1], ports[1:])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])


def test_labels_that_the_model_does_not_know_prune_nothing() -> None:
    rows, labels = exports.data("digits")
    model = exports.sklearn(exports.forest(2), "digits", lambda _: labels, convert=exports.PLAIN)
    texts = [f"digit {label}" for label in labels]
    with pytest.raises(DataError, match="none of the model's classes"):
        prune_trees(ir.from_proto(model), PruneTrees(), _table(rows, texts), [], {})
