"""What the Markdown files point to exists, and each finding is listed and can be run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from snapq.config import LanguageDeployConfig
from snapq.config.reading import load, load_deployment

ROOT = Path(__file__).resolve().parents[1]
CHECK = ROOT / "scripts" / "check_links.py"


def check(root: Path) -> subprocess.CompletedProcess[str]:
    """Runs a copy of the script inside a repository of its own."""
    (root / "scripts").mkdir()
    copy = root / "scripts" / CHECK.name
    copy.write_bytes(CHECK.read_bytes())
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return subprocess.run([sys.executable, copy], capture_output=True, text=True, check=False)


def test_no_markdown_file_of_the_repository_has_a_broken_link() -> None:
    done = subprocess.run([sys.executable, CHECK], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert int(done.stderr.split()[0]) > 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a](other.md)", "other.md does not exist"),
        ("[a](#nowhere)", "there is no such heading"),
        ("[a](../outside.md)", "../outside.md does not exist"),
        ("`scripts/nothing.py`", "`scripts/nothing.py` does not exist"),
    ],
)
def test_a_broken_link_is_named(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(f"# Page\n\n{text}\n")
    done = check(tmp_path)
    assert done.returncode == 1
    assert said in done.stdout


def test_the_pages_that_are_made_from_the_program_are_up_to_date() -> None:
    script = ROOT / "scripts" / "reference.py"
    done = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout} `make reference` writes them."


def test_links_that_lead_somewhere_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(
        "# One page\n\n[a](#one-page) [b](scripts/) [c](https://onnx.ai) `scripts/*.py` `a/b`\n"
        "```\n[d](nothing.md)\n```\n"
    )
    done = check(tmp_path)
    assert done.returncode == 0, done.stdout


def test_each_finding_is_listed_stands_alone_and_can_be_run() -> None:
    listed = set(re.findall(r"\]\((\w+\.sh)\)", (ROOT / "findings" / "README.md").read_text()))
    findings = sorted((ROOT / "findings").glob("*.sh"))
    assert {finding.name for finding in findings} == listed
    assert findings
    for finding in findings:
        text = finding.read_text(encoding="utf-8")
        assert os.access(finding, os.X_OK), finding.name
        assert "set -euo pipefail" in text, finding.name
        assert "import snapq" not in text, finding.name
        packages = re.findall(r"^    (\S+==\S+(?: \S+)*)", text, re.MULTILINE)
        assert packages, finding.name
        assert all(
            "==" in package for line in packages for package in line.split() if package != "\\"
        )


def test_each_finding_says_which_pass_takes_care_of_it_by_the_name_that_it_has() -> None:
    table = (ROOT / "findings" / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| \[.*\| [^|]*`(\w+)`[^|]* \|$", table, re.MULTILINE)
    folders = ("graph/passes/*", "graph/float16", "quantization/qdq/*")
    passes = {path.stem for folder in folders for path in (ROOT / "snapq").glob(f"{folder}/*.py")}
    options = {"precision_rules"}
    assert len(named) > 5
    assert set(named) <= passes | options


def test_what_a_kernel_computes_otherwise_is_told_with_each_pass_that_mends_it() -> None:
    page = (ROOT / "docs" / "reference" / "npu_values.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)`", page))
    folders = ("graph/passes/npu_workarounds", "graph/float16")
    mends = {
        path.stem
        for folder in folders
        for path in (ROOT / "snapq" / folder).glob("*.py")
        if re.search(r"^OPERATORS", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(mends) > 20
    assert sorted(mends - named) == []


def _yaml_blocks() -> list[tuple[str, str]]:
    parts = ("tutorial", "how-to", "reference", "explanation")
    pages = sorted(page for part in parts for page in (ROOT / "docs" / part).glob("*.md"))
    return [
        (page.stem, text)
        for page in pages
        for text in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        if not text.startswith("# boards.yaml")
    ]


@pytest.mark.parametrize(("page", "text"), _yaml_blocks())
def test_the_yaml_that_the_docs_show_loads(page: str, text: str, tmp_path: Path) -> None:
    """Whole files, stages, and single keys of a file."""
    shown = yaml.safe_load(text)
    deploy = {
        "name": "shown",
        "model": {"path": "model.onnx"},
        "devices": ["qcs9075", "sm8650", "qcs6490"],
        "data": {
            "calibration": {"random": True},
            "evaluation": {"arrays": "x.npy", "labels": "y.npy"},
        },
        "metric": "top1",
        "stages": [{"quantize": {}}, {"package": {}}],
        "benchmark": {"target": "local"},
    }
    path = tmp_path / "deploy.yaml"
    if isinstance(shown, dict) and "prefill" in shown.get("model", {}):
        path.write_text(text, encoding="utf-8")
        assert isinstance(load_deployment(path), LanguageDeployConfig), page
        return
    changed = {"stages": shown} if isinstance(shown, list) else shown
    for key, value in changed.items():
        old = deploy.get(key)
        deploy[key] = {**old, **value} if isinstance(old, dict) else value
    path.write_text(yaml.safe_dump(deploy), encoding="utf-8")
    assert load(path).stages, page


def test_every_folder_and_variable_of_snapq_is_told() -> None:
    page = (ROOT / "docs" / "reference" / "files.md").read_text(encoding="utf-8")
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "snapq").rglob("*.py")]
    variables = {
        name
        for text in sources
        for name in re.findall(
            r"""(?:VARIABLE\w*(?:: \w+)? = |variable=|environ\.get\()"([A-Z_]+)\"""", text
        )
    }
    assert len(variables) > 8
    of_the_system = {"PATH", "LD_LIBRARY_PATH"}
    assert [name for name in sorted(variables - of_the_system) if name not in page] == []
