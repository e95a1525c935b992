"""The benchmark on 500 pictures parts them without overlap, and says where they are missing."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

from benchmarks import imagenet500


def test_no_picture_both_calibrates_and_is_held_out(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    rows = [(f"{index:03}.jpg", index) for index in range(100)]
    for name, _ in rows:
        (pictures / name).write_bytes(name.encode())
    table = "file,label\n" + "".join(f"{name},{label}\n" for name, label in rows)
    (pictures / "labels.csv").write_text(table)

    imagenet500.link_pictures(pictures, tmp_path / "data")

    found = {}
    for part in imagenet500.PARTS:
        with (tmp_path / "data" / f"{part}.csv").open(newline="") as file:
            labels = {row["file"]: int(row["label"]) for row in csv.DictReader(file)}
        linked = {path.name: path.read_text() for path in (tmp_path / "data" / part).iterdir()}
        assert linked == {name: name for name in labels}
        found[part] = labels
    assert len(found["calibration"]) == imagenet500.CALIBRATION_SAMPLES
    assert found["calibration"] | found["held-out"] == dict(rows)
    assert not found["calibration"].keys() & found["held-out"].keys()


def test_missing_pictures_are_one_clear_error(tmp_path: Path) -> None:
    command = [sys.executable, imagenet500.__file__, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "There is no labels.csv, so this benchmark cannot run." in done.stderr
    assert "Traceback" not in done.stderr
