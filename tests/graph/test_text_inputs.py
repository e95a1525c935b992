"""Text that encoders read becomes the place of each text in a list."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from snapq.config import DataSource
from snapq.cpu import CpuModel
from snapq.errors import DataError, ModelError
from snapq.evaluation.samples import convert
from snapq.evaluation.tables import open_table
from snapq.graph import classical, io
from snapq.graph.shapes import input_specs

RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=(60, 1)).astype(np.float32)
TEXTS = RNG.choice(["red", "green", "blue"], (60, 2))
LABELS = (NUMBERS[:, 0] > 0) ^ (TEXTS[:, 0] == "red")


def pipeline(encoder: OneHotEncoder | OrdinalEncoder) -> onnx.ModelProto:
    """A forest over a number and two columns of text."""
    rows = np.concatenate([NUMBERS.astype(object), TEXTS.astype(object)], 1)
    both = ColumnTransformer([("n", "passthrough", [0]), ("t", encoder, [1, 2])])
    model = make_pipeline(both, RandomForestClassifier(4, random_state=0)).fit(rows, LABELS)
    kinds = [("n", FloatTensorType([None, 1])), ("t", StringTensorType([None, 2]))]
    return convert_sklearn(model, initial_types=kinds, options={"zipmap": False}, target_opset=18)


def loaded(model: onnx.ModelProto, folder: Path) -> Path:
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(handle_unknown="ignore"),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    ],
)
def test_answers_to_texts_stay_the_same(
    encoder: OneHotEncoder | OrdinalEncoder, tmp_path: Path
) -> None:
    model = pipeline(encoder)
    rows = TEXTS.astype(object)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    expected = session.run(None, {"n": NUMBERS, "t": rows})
    opened = io.load(loaded(model, tmp_path))
    classical.fix_rows(opened, {"n": [60, 1], "t": [60, 2]})
    (_, spec) = input_specs(opened)
    assert spec.texts == ("blue", "green", "red")
    places = np.array([[spec.texts.index(one) for one in row] for row in TEXTS])
    answers = CpuModel(opened).run({"n": NUMBERS, "t": places})
    for found, one in zip(answers.values(), expected, strict=True):
        np.testing.assert_array_equal(found, one)


def test_a_table_holds_the_texts_themselves(tmp_path: Path) -> None:
    opened = io.load(loaded(pipeline(OneHotEncoder(handle_unknown="ignore")), tmp_path))
    classical.fix_rows(opened, {"n": [1, 1], "t": [1, 2]})
    (tmp_path / "rows.csv").write_text("n,first,second\n1,red,blue\n2, green,pink\n3,,red\n")
    source = DataSource(table="rows.csv", columns={"n": ("n",), "t": ("first", "second")})

    def read() -> list[list[int]]:
        data = open_table(source, input_specs(opened), base=tmp_path, labelled=False)
        return [sample.feeds["t"].reshape(-1).tolist() for sample in data]

    assert read() == [[2, 0], [1, -1], [-1, 2]]
    (tmp_path / "rows.csv").write_text("n,first,second\n1,red,3\n2,green,4\n")
    with pytest.raises(DataError, match=r"'second' holds texts such as '3'.*'blue', 'green'"):
        read()


def test_arrays_hold_the_texts_themselves_too(tmp_path: Path) -> None:
    opened = io.load(loaded(pipeline(OneHotEncoder(handle_unknown="ignore")), tmp_path))
    classical.fix_rows(opened, {"n": [2, 1], "t": [2, 2]})
    (_, spec) = input_specs(opened)
    found = convert(np.array([["red", " blue"], ["pink", "green"]]), spec, "here")
    np.testing.assert_array_equal(found, [[2, 0], [-1, 1]])
    assert found.dtype == spec.dtype


def test_text_that_is_not_only_encoded_is_refused_by_name(tmp_path: Path) -> None:
    model = pipeline(OneHotEncoder(handle_unknown="ignore"))
    model.graph.node.insert(
        0, helper.make_node("StringNormalizer", ["t"], ["lower"], case_change_action="LOWER")
    )
    model.graph.output.append(helper.make_tensor_value_info("lower", TensorProto.STRING, None))
    opened = io.load(loaded(model, tmp_path))
    with pytest.raises(ModelError, match="'t' is text that the model does more with"):
        classical.fix_rows(opened, {"n": [1, 1], "t": [1, 2]})
