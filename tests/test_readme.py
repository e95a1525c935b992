"""What the README says is so: its deploy.yaml loads, its commands, names and paths exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import yaml

import snapq
from snapq.config.reading import load

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _each(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def _blocks(language: str) -> str:
    return "\n".join(_each(language))


def test_its_deploy_yaml_loads(tmp_path: Path) -> None:
    path = tmp_path / "deploy.yaml"
    first, *others = _each("yaml")
    path.write_text(first, encoding="utf-8")
    assert load(path).devices == ("qcs9075", "sm8650")
    for other in others:  # shows some keys, in place of the first one's
        whole = yaml.safe_load(first)
        for key, value in yaml.safe_load(other).items():
            whole[key] = {**whole[key], **value} if isinstance(value, dict) else value
        path.write_text(yaml.safe_dump(whole), encoding="utf-8")
        assert load(path).stages


def test_its_python_uses_public_names() -> None:
    code = _blocks("python")
    compile(code, "README.md", "exec")
    assert set(re.findall(r"snapq\.(\w+)", code)) <= set(snapq.__all__)


def test_its_commands_exist() -> None:
    listed = subprocess.run(
        [sys.executable, "-c", "from snapq.cli.main import main; main()", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    commands = set(re.findall(r"snapq ([a-z]+)\b", _blocks("sh") + " ".join(_quoted())))
    assert commands
    assert all(re.search(rf"│ {command} ", listed) for command in commands)
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"make ([a-z]+)", README)) <= set(targets)


def test_its_paths_exist() -> None:
    paths = [text for text in _quoted() if re.fullmatch(r"snapq/[\w/.]+", text)]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def _quoted() -> list[str]:
    return re.findall(r"`([^`\n]+)`", README)
