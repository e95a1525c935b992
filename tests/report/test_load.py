"""A record read back from a run directory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from snapq.errors import StorageError
from snapq.records import RunRecord
from snapq.report.load import load_record
from tests.report import report_records as records


@pytest.mark.parametrize(
    "make", [records.empty, records.realistic, records.troubled, records.hostile]
)
def test_record_comes_back_whole(make: Callable[[], RunRecord], tmp_path: Path) -> None:
    record = make()
    (tmp_path / "run.json").write_text(record.model_dump_json(indent=1), encoding="utf-8")
    assert load_record(tmp_path) == record
    assert load_record(tmp_path / "run.json") == record


def test_a_record_with_the_former_name_of_devices_is_read(tmp_path: Path) -> None:
    record = records.realistic()
    values = record.to_json()
    values["targets"] = values.pop("devices")
    (tmp_path / "run.json").write_text(json.dumps(values), encoding="utf-8")
    assert load_record(tmp_path) == record


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "not JSON"),
        (b'{"schema_version": "snapq.run/1", "name": "cut of', "not JSON"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"[1, 2]", "does not hold an object"),
        (b"[" * 100_000, "not JSON"),
        (b'{"schema_version": "snapq.run/9"}', "'snapq.run/9'"),
        (b'{"name": "x"}', "schema None"),
        (b'{"schema_version": "snapq.run/1", "name": 5}', "name: "),
    ],
)
def test_damaged_record_is_refused_with_its_file_and_hint(
    content: bytes, told: str, tmp_path: Path
) -> None:
    file = tmp_path / "run.json"
    file.write_bytes(content)
    with pytest.raises(StorageError) as caught:
        load_record(tmp_path)
    assert told in caught.value.what
    assert caught.value.where == str(file)
    assert caught.value.hint


def test_missing_record_is_told_apart_from_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"no run\.json here"):
        load_record(tmp_path)
    with pytest.raises(StorageError, match="no such file"):
        load_record(tmp_path / "nowhere")
