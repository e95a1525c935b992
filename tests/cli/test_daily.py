"""What a day at the command line needs: quiet and loud, completion, near misses, other files."""

from __future__ import annotations

import io as streams
import json
import os
import re
import shlex
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main

from snapq import api
from snapq.benchmarking.targets.local_records import Timed, local_records
from snapq.cli.app import app
from snapq.cli.completion import (
    complete_boards,
    complete_devices,
    complete_runs,
    complete_stages,
    complete_targets,
)
from snapq.cli.output.progress import Bars
from snapq.cli.verbosity import take_verbosity, verbosity
from snapq.config import BenchmarkConfig
from snapq.config.reading import load
from snapq.errors import ConfigError
from snapq.report.progress import Verbosity, _Steps
from tests.cli.test_bad_input import invoke
from tests.report.report_records import realistic


@pytest.fixture(autouse=True)
def boards_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inventory = tmp_path / "boards.yaml"
    inventory.write_text("boards: [{name: bench-1, address: 'ssh://root@192.0.2.1'}]\n")
    monkeypatch.setenv("SNAPQ_BOARDS", str(inventory))


@pytest.mark.parametrize(
    ("given", "left", "chosen"),
    [
        (["run", "d.yaml", "-q"], ["run", "d.yaml"], Verbosity.QUIET),
        (["--verbose", "run", "d.yaml"], ["run", "d.yaml"], Verbosity.VERBOSE),
        (["run", "--", "-q"], ["run", "--", "-q"], Verbosity.NORMAL),
        (
            ["board", "emulate", "shell", "board", "dmesg", "-q"],
            ["board", "emulate", "shell", "board", "dmesg", "-q"],
            Verbosity.NORMAL,
        ),
    ],
)
def test_quiet_and_verbose_stand_before_or_behind_the_command(
    given: list[str], left: list[str], chosen: Verbosity
) -> None:
    assert take_verbosity(given) == left
    assert verbosity() is chosen


def test_quiet_and_verbose_exclude_each_other() -> None:
    code, output = invoke("devices", "-q", "-v")
    assert (code, "--quiet and --verbose" in output) == (2, True)


def test_without_a_terminal_a_step_is_a_line_with_its_time(
    capfd: pytest.CaptureFixture[str],
) -> None:
    take_verbosity([])
    bars = Bars()
    with bars.track("Calibrate", 2) as advance:
        advance(2)
        time.sleep(1.05)
    with bars.track("Short", 1) as advance:
        advance(1)
    assert capfd.readouterr().err.splitlines() == ["Calibrate: 1.1 s"]


def test_quiet_says_nothing_and_verbose_names_short_steps_too(
    capfd: pytest.CaptureFixture[str],
) -> None:
    for word in ("-q", "-v"):
        take_verbosity([word])
        bars = Bars()
        bars.say(f"Stage 1 of 4 {word}")
        with bars.track("Short", 1) as advance:
            advance(1)
    take_verbosity([])
    assert capfd.readouterr().err.splitlines() == ["Stage 1 of 4 -v", "Short: 0.0 s"]


def test_a_long_step_says_now_and_then_how_long_it_will_take() -> None:
    told: list[str] = []
    steps = _Steps("Calibrate", 100, told.append)
    steps._began -= 40
    steps._told -= 40
    steps.advance_and_tell(25)
    steps.advance_and_tell(1)
    assert told == ["Calibrate: 25 of 100, about 2 min 00 s left"]


def test_what_came_before_the_work_says_nothing_of_the_time_that_is_left() -> None:
    told: list[str] = []
    steps = _Steps("Benchmark", 100, told.append)
    steps._began -= 600  # a board is started, and files are pushed
    steps.advance_and_tell(0)
    steps._began -= 40
    steps._told -= 40
    steps.advance_and_tell(25)
    assert told == ["Benchmark: 25 of 100, about 2 min 00 s left"]


def test_verbose_says_where_an_error_was_raised() -> None:
    assert "Traceback" in invoke("validate", "none.yaml", "-v")[1]
    assert "Traceback" not in invoke("validate", "none.yaml")[1]


def test_options_of_a_command_for_a_board_are_the_commands_own() -> None:
    code, output = invoke("board", "emulate", "shell", "nowhere", "uname", "-a")
    assert (code, "does not run" in output) == (2, True), output


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("snapq estimate model.onnx --device sm86", "sm8650"),
        ("snapq run deploy.yaml --target be", "bench-1"),
        ("snapq benchmark runs/ti", "runs/tiny/1"),
    ],
)
def test_the_shell_completes_devices_stages_and_runs(
    words: str, offered: str, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "tiny" / "1"
    run.mkdir(parents=True)
    (run / "run.json").write_text("{}")
    done = subprocess.run(
        [sys.executable, "-c", "from snapq.cli.app import app; app(prog_name='snapq')"],
        cwd=tmp_path,
        env={
            **os.environ,
            "_SNAPQ_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert offered in done.stdout.split(), done.stdout + done.stderr


def test_what_is_completed_is_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert complete_runs("") == ["latest", "latest~1"]
    assert complete_devices("qcs90") == ["qcs9075"]
    assert complete_stages("pack") == ["package"]
    assert complete_boards("") == ["bench-1"]
    assert complete_targets("") == ["local", "qemu", "bench-1"]
    monkeypatch.setenv("SNAPQ_BOARDS", str(tmp_path / "broken.yaml"))
    (tmp_path / "broken.yaml").write_text("boards: 5")
    assert complete_targets("") == ["local", "qemu"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("devices", "bench-1"), "snapq devices probe bench-1"),
        (("devices", "ssh://root@192.0.2.1"), "snapq devices probe ssh://root@192.0.2.1"),
        (("devices", "prob", "bench-1"), "Did you mean: snapq devices probe bench-1"),
        (("devices", "probe"), "snapq devices probe BOARD"),
        (("devices", "qcs9075", "bench-1"), "snapq devices probe BOARD"),
        (("board", "probe", "bench-1"), "snapq devices probe bench-1"),
    ],
)
def test_a_board_and_a_chip_that_are_mistaken_are_told_apart(
    words: tuple[str, ...], said: str
) -> None:
    code, output = invoke(*words)
    assert (code, said in output) == (2, True), output


def test_a_chip_is_no_place_to_measure(project: Path) -> None:
    with pytest.raises(ConfigError, match="`sm8650` is a chip to compile for"):
        load(project / "deploy.yaml", ["benchmark={target: sm8650}"])
    run = project / "run"
    (run / "bundle").mkdir(parents=True)
    code, output = invoke("benchmark", str(run), "--target", "sm8650")
    assert (code, "no place to measure" in output) == (2, True), output


def archive(member: str) -> bytes:
    data = streams.BytesIO()
    with zipfile.ZipFile(data, "w") as made:
        made.writestr(member, b"x")
    return data.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "what", "hint"),
    [
        ("m.pt", archive("m/data.pkl"), "PyTorch checkpoint", "torch.onnx.export"),
        ("m.pth", b"\x80\x02ctorch", "PyTorch checkpoint", "torch.onnx.export"),
        ("renamed.onnx", archive("archive/data.pkl"), "PyTorch checkpoint", "torch.onnx.export"),
        ("m.pt", archive("m/constants.pkl"), "TorchScript", "torch.jit.load"),
        ("m.pt2", archive("serialized_exported_program.json"), "torch.export", "torch.export.load"),
        ("m.tflite", b"\x1c\0\0\0TFL3" + bytes(20), "TensorFlow Lite", "tf2onnx.convert --tflite"),
        ("renamed.onnx", b"\x1c\0\0\0TFL3" + bytes(20), "TensorFlow Lite", "tf2onnx"),
        ("m.h5", b"\x89HDF\r\n\x1a\n" + bytes(20), "Keras", 'format="onnx"'),
        ("m.keras", archive("model.weights.h5"), "Keras", "load_model"),
        (
            "m.safetensors",
            bytes([9, 0, 0, 0, 0, 0, 0, 0]) + b'{"a": {}}',
            "weights alone",
            "optimum",
        ),
        ("m.gguf", b"GGUF" + bytes(20), "llama.cpp", "Export"),
        ("m.pb", b"\x0a\xff\xff\xff\xff", "TensorFlow graph", "--saved-model"),
        ("m.joblib", b"\x80\x04\x95", "scikit-learn", "skl2onnx"),
        ("m.onnx", b"no model at all", "not ONNX", "Download or export"),
    ],
)
def test_files_of_other_frameworks_are_named_with_the_way_to_onnx(
    name: str, data: bytes, what: str, hint: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    code, output = invoke("init", str(path), "-o", str(tmp_path / "d.yaml"))
    told = " ".join(output.split())
    assert (code, what in told, hint in told) == (2, True, True), output
    assert not (tmp_path / "d.yaml").exists()


def test_a_saved_model_is_named_with_the_way_to_onnx(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    code, output = invoke("init", str(tmp_path))
    assert (code, "--saved-model" in output) == (2, True)


def test_init_names_the_file_that_it_writes_and_measures_nothing(project: Path) -> None:
    path = project / "my model.yaml"
    code, output = invoke("init", str(project / "tiny.onnx"), "-o", str(path))
    assert code == 0
    assert f"snapq run '{path}'" in output
    assert "Start it: snapq run 'my model.yaml'" in path.read_text()
    assert load(path).benchmark is None


def test_report_and_benchmark_take_latest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        run = tmp_path / "runs" / "tiny" / str(number)
        run.mkdir(parents=True)
        record = realistic(name="tiny", seconds=float(number))
        (run / "run.json").write_text(record.model_dump_json())
        os.utime(run / "run.json", (number, number))
    assert "Report: runs/tiny/2/report.html" in invoke("report", "latest")[1]
    assert "Report: runs/tiny/1/report.html" in invoke("report", "latest~1")[1]
    code, output = invoke("benchmark", "latest")
    assert (code, "The run made no bundle" in output) == (2, True)


def test_the_history_tells_devices_from_targets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNAPQ_HISTORY", str(tmp_path / "history.sqlite"))
    timed = Timed("w8a8", Path(__file__), np.ones((20, 10)), 1.0, 1.0, 1)
    (record,) = local_records([timed], BenchmarkConfig(), ())
    on_board = record.target.model_copy(update={"name": "bench-1", "soc": "sm8650"})
    api.remember([record.model_copy(update={"target": on_board})])
    with warnings.catch_warnings(action="error"):
        for words, count in (
            (("--target", "bench-1", "--device", "sm8650"), 1),
            (("--target", "sm8650"), 0),
            (("--device", "bench-1"), 0),
        ):
            assert len(json.loads(invoke("history", *words, "--json")[1])) == count, words


def examples() -> list[str]:
    """Every example in the help of a command."""
    found, groups = [], [typer.main.get_command(app)]
    while groups:
        for command in groups.pop().commands.values():  # type: ignore[attr-defined]
            if hasattr(command, "commands"):
                groups.append(command)
                continue
            told = re.findall(r"Examples?: (.*(?:\n(?!\n).*)*)", command.help or "")
            lines = [line for text in told for line in re.split(r"[;\n]", text)]
            found += [line.replace("Example:", "").strip() for line in lines if "snapq" in line]
    return found


def test_every_option_says_what_it_does() -> None:
    def silent(command: Any, path: str) -> list[str]:
        inner = getattr(command, "commands", {}).items()
        found = [text for name, one in inner for text in silent(one, f"{path} {name}")]
        options = [one for one in command.params if one.param_type_name == "option"]
        return found + [f"{path} {one.opts[0]}" for one in options if not one.help]

    assert silent(typer.main.get_command(app), "snapq") == []


def test_every_example_in_the_help_is_read_by_its_command() -> None:
    shown = examples()
    assert len(shown) > 25
    for example in shown:
        _, *words = shlex.split(re.split(r"[>|]", example)[0])
        command: Any = typer.main.get_command(app)
        name = "snapq"
        while hasattr(command, "commands"):
            name, *words = words if words[0] in command.commands else ["run", *words]
            command = command.commands[name]
        command.make_context(name, list(words))  # raises where an option does not exist
