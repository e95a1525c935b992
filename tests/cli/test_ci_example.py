"""The workflow of examples/ci: its commands exist, and its gate works for two models."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
import yaml

from snapq.cli.app import app
from snapq.records import RunRecord
from tests.report.report_records import realistic

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = yaml.safe_load((ROOT / "examples" / "ci" / "github-actions.yml").read_text())
JOB = WORKFLOW["jobs"]["deploy"]


def script(step: str) -> str:
    return next(one["run"] for one in JOB["steps"] if one.get("name") == step)


def test_every_command_and_option_of_the_workflow_exists() -> None:
    scripts = " ".join(one.get("run", "") for one in JOB["steps"]).replace("\\\n", " ")
    commands = re.findall(r"^\s*snapq (\w+)(.*)$", scripts, re.MULTILINE)
    assert {name for name, _ in commands} >= {"run", "compare"}
    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name, arguments in commands:
        options = {text for option in known[name].params for text in option.opts}
        given = {word.partition("=")[0] for word in shlex.split(arguments) if word[:2] == "--"}
        assert given <= options, name


def test_it_deploys_two_models() -> None:
    assert len(JOB["strategy"]["matrix"]["model"]) == 2
    kept = [one["with"]["key"] for one in JOB["steps"] if "cache/save" in str(one.get("uses"))]
    assert all("matrix.model" in key for key in kept)


@pytest.mark.parametrize(
    ("after", "code", "said"),
    [
        (realistic(name="classifier"), 0, "within the limits"),
        (realistic(name="classifier", fidelity=()), 1, "worse than the limits allow"),
        (realistic(name="detector"), 2, "Another model"),
    ],
)
def test_its_gate_fails_on_a_loss_and_on_another_model(
    tmp_path: Path, after: RunRecord, code: int, said: str
) -> None:
    for folder, record in (("baseline", realistic(name="classifier")), ("deployed", after)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "run.json").write_text(record.model_dump_json())
    program = tmp_path / "snapq"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m snapq "$@"\n')
    program.chmod(0o755)
    step = script("Compare with the main branch").replace("--max-instructions-growth 0.01", "")
    done = subprocess.run(
        ["bash", "-e", "-c", step],
        cwd=tmp_path,
        env={
            **os.environ,
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    summary = tmp_path / "summary.md"
    told = done.stdout + done.stderr + (summary.read_text() if summary.exists() else "")
    assert (done.returncode, said in told) == (code, True), told
