"""deploy.yaml of a language model: `model: {prefill: …, decode: …}`."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from snapq.config import GraphTimes, LanguageDeployConfig
from snapq.config.reading import json_schema, load, load_deployment
from snapq.errors import ConfigError

VALID = """\
name: smollm2
model: {prefill: pair/p.onnx, decode: pair/d.onnx}
devices: [qcs9075, sa8797p]
text: {calibration: chats.txt, evaluation: held_out.txt}
gates:
  max_perplexity_ratio: {qcs9075: 1.05}
  max_estimated_us: {decode: 3400}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "deploy.yaml"
    path.write_text(text)
    return path


def test_a_pair_is_read_with_paths_from_the_folder_of_the_file(tmp_path: Path) -> None:
    config = load_deployment(written(tmp_path, VALID), ["text.evaluation_tokens=64"])
    assert isinstance(config, LanguageDeployConfig)
    assert config.model.prefill == tmp_path / "pair" / "p.onnx"
    assert config.text.evaluation_tokens == 64
    assert config.gates.max_estimated_us == GraphTimes(decode=3400)
    with pytest.raises(ConfigError, match="deployment of a language model"):
        load(tmp_path / "deploy.yaml")


@pytest.mark.parametrize(
    ("change", "line", "told"),
    [
        (("decode: pair", "decod: pair"), 2, "Unknown key `decod`. Did you mean `decode`?"),
        (("calibration", "calibrate"), 4, "Unknown key `calibrate`. Did you mean `calibration`?"),
        (("decode: 3400", "decode: fast"), 7, "The text `fast` is given"),
        (("max_perplexity_ratio", "max_perplexity"), 6, "Did you mean `max_perplexity_ratio`?"),
        ((", evaluation: held_out.txt", ""), 6, "judges what is computed on `text.evaluation`"),
        (("held_out.txt", "chats.txt"), 4, "The text that is evaluated is the one that calibrates"),
        (("sa8797p", "QCS9075"), 3, "The device `QCS9075` is named twice"),
        (("devices", "stages: [quantize: {}]\ndevices"), 3, "Unknown key `stages`"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    change: tuple[str, str], line: int, told: str, tmp_path: Path
) -> None:
    path = written(tmp_path, VALID.replace(*change, 1))
    with pytest.raises(ConfigError) as raised:
        load_deployment(path)
    text = str(raised.value)
    assert told in text
    assert f"{path}:{line}: " in text


def test_the_schema_says_what_load_does() -> None:
    schema = json_schema(LanguageDeployConfig)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(VALID))
    bare = [
        f"{name}.{key}"
        for name, part in {"": schema, **schema["$defs"]}.items()
        for key, value in part.get("properties", {}).items()
        if "description" not in value and "$ref" not in json.dumps(value)
    ]
    assert bare == []
