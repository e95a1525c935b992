"""README.md of a bundle, and labels."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import onnx_ir as ir
import pytest

from snapq.bundle import snapq_io
from snapq.bundle.application import verify
from snapq.bundle.application.facts import ApplicationFacts
from snapq.bundle.application.readme import readme
from snapq.bundle.schema import Manifest
from snapq.errors import ConfigError, DataError
from snapq.graph import io
from snapq.stages.package.application import application_facts
from tests.bundle.application.packages import CLASSIFIER, KINDS, SPEECH
from tests.graph.boundary.small_models import conv_net


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_has_a_page_whose_tables_hold(kind: str) -> None:
    text = readme(KINDS[kind], ApplicationFacts(("a|b", "`c`")), ("model.onnx",))
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert tables
    for block in tables:
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(columns) == 1, block


def test_state_is_told() -> None:
    text = readme(SPEECH, ApplicationFacts((), {"stateN": "state"}), ())
    assert "what `stateN` gives, `state` takes at the next step" in text


def test_a_value_that_a_template_lacks_is_an_error() -> None:
    value = CLASSIFIER.model_dump(mode="json")
    value["inputs"][0]["name"] = "{{ 7 * 7 }}"
    assert "{{ 7 * 7 }}" in readme(Manifest.model_validate(value), ApplicationFacts(), ())


def test_what_runs_beside_a_bundle_is_python_3_9() -> None:
    for file in (snapq_io.__file__, verify.__file__):
        ast.parse(Path(file).read_text(), feature_version=(3, 9))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    io.save(conv_net(), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_labels_are_those_of_the_file(model: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("\n".join(f"l{n}" for n in range(10)) + "\n", "utf-8-sig")
    found = application_facts(tmp_path / "labels.txt", model, {})
    assert found.labels == tuple(f"l{n}" for n in range(10))


def test_a_label_too_many_is_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("\n".join("abcdefghijk"))
    with pytest.raises(ConfigError, match="11 lines, and the model gives 10 classes"):
        application_facts(tmp_path / "labels.txt", model, {})


@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", b"\n"])
def test_what_is_no_list_of_labels_is_refused(data: bytes, model: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes(data)
    with pytest.raises(DataError):
        application_facts(tmp_path / "labels.txt", model, {})


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ("{0: 'cat', 1: 'a \"dog\"'}", ("cat", 'a "dog"')),
        ("['a', 'b']", ("a", "b")),
        ("{'0': 'a'}", ("a",)),
        ("{1: 'a'}", ()),
        ("{0: 5}", ()),
        ("__import__('os')", ()),
        ("{0: '\\x1b[2J'}", ("[2J",)),
        ("", ()),
    ],
)
def test_labels_are_those_that_the_model_has_itself(
    names: str, found: tuple[str, ...], tmp_path: Path
) -> None:
    made: ir.Model = conv_net()
    made.metadata_props["names"] = names
    io.save(made, tmp_path / "model.onnx")
    assert application_facts(None, tmp_path / "model.onnx", {}).labels == found
