"""The JSON Schema says what `load` does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snapq.config.reading import json_schema, load
from snapq.errors import ConfigError
from tests.config.conftest import VALID

SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_it_is_a_json_schema_of_2020_12_with_a_description_for_every_key() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    bare = [
        f"{name}.{key}"
        for name, part in {"": SCHEMA, **SCHEMA["$defs"]}.items()
        for key, value in part.get("properties", {}).items()
        if "description" not in value and "$ref" not in json.dumps(value)
    ]
    assert bare == []


def _paths_of(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(value, dict):
        members: list[tuple[str | int, Any]] = list(value.items())
    elif isinstance(value, list):
        members = list(enumerate(value))
    else:
        members = []
    return [path, *(found for key, item in members for found in _paths_of(item, (*path, key)))]


PLAIN = yaml.safe_load(VALID)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 300),
    st.floats(-2, 2).map(lambda value: round(value, 2)),
    st.sampled_from(["int8", "uint8", "all", "top1", "local", "a:b", "rgb", "x y", ""]),
    st.lists(st.integers(-1, 3), max_size=4),
    st.dictionaries(
        st.sampled_from(["images", "random", "labels", "crop", "quantize", "package", "dtype"]),
        st.sampled_from([None, True, 1, "a", {}]),
        max_size=2,
    ),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(path=st.sampled_from(_paths_of(PLAIN)[1:]), value=VALUES)
def test_it_accepts_what_load_accepts(
    tmp_path: Path, path: tuple[str | int, ...], value: object
) -> None:
    changed = json.loads(json.dumps(PLAIN))
    holder = changed
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    file = tmp_path / "deploy.yaml"
    file.write_text(json.dumps(changed))
    try:
        load(file)
    except ConfigError:
        return
    VALIDATOR.validate(changed)


@pytest.mark.parametrize("key", ["name", "model", "devices", "stages"])
def test_it_refuses_what_lacks_a_key(key: str) -> None:
    assert not VALIDATOR.is_valid({k: v for k, v in PLAIN.items() if k != key})


def test_it_refuses_unknown_keys_two_sources_and_two_stages_in_one() -> None:
    for change in (
        {"nmae": 1},
        {"data": {"calibration": {"images": "a", "random": True}}},
        {"stages": [{"quantize": {}, "package": {}}]},
    ):
        assert not VALIDATOR.is_valid({**PLAIN, **change})
