"""The Docker images and the example for CI are well-formed, and say what the program says."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from snapq.boards.emulator import tools

ROOT = Path(__file__).resolve().parents[3]
DOCKER = ROOT / "docker"
WORKFLOW = ROOT / "examples" / "ci" / "github-actions.yml"


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [program, "-c", DOCKER / ".hadolint.yaml", DOCKER / "Dockerfile"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_board_image_builds_with_the_command_that_everybody_uses() -> None:
    stages = (DOCKER / "Dockerfile").read_text().split("FROM ")[1:]
    board = next(stage for stage in stages if stage.startswith("toolchain AS board"))
    assert "RUN snapq board emulate build" in board
    for program in (*tools.RUNS, "mke2fs"):
        assert tools.package(program) in board


def test_compose_opens_no_port_and_measures_within_the_network_of_the_board() -> None:
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    assert all("ports" not in service for service in services.values())
    assert all("privileged" not in service for service in services.values())
    benchmark = services["benchmark"]
    assert benchmark["network_mode"] == benchmark["pid"] == "service:board"
    assert "qemu://board" in benchmark["command"]


def test_every_command_of_the_images_and_the_workflow_exists() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text())
    steps = "\n".join(step.get("run", "") for step in workflow["jobs"]["deploy"]["steps"])
    dockerfile = (DOCKER / "Dockerfile").read_text()
    compose = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    started = json.loads(re.findall(r"^CMD (\[.*\])$", dockerfile, re.MULTILINE)[-1])
    commands = {
        *re.findall(
            r"snapq (run|history|compare|board emulate \w+) ?([^|\n]*)", steps + dockerfile
        ),
        (" ".join(started[:3]), shlex.join(started[3:])),
        ("benchmark", shlex.join(compose["services"]["benchmark"]["command"][1:])),
    }
    assert len(commands) >= 6
    for command, options in commands:
        said = subprocess.run(
            [sys.executable, "-m", "snapq", *command.split(), "--help"],
            capture_output=True,
            text=True,
            env={"PATH": "/usr/bin", "COLUMNS": "200", "PYTHONPATH": str(ROOT)},
        )
        assert said.returncode == 0, said.stderr
        for option in re.findall(r"(?<!\S)--[a-z-]+", options):
            assert option in said.stdout, f"snapq {command} {option}"


@pytest.mark.skipif(shutil.which("sh") is None, reason="there is no shell")
def test_the_scripts_of_the_board_are_valid_shell() -> None:
    for script in (ROOT / "snapq" / "devices" / "emulator" / "files").glob("*.sh"):
        subprocess.run(["sh", "-n", script], check=True)
