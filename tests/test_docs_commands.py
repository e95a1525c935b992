"""What the docs tell a reader to type works, page by page, in the order in which it stands there.

A block of `sh` is run; a block of another language that begins with a comment of a file's name is
written to that file. `<!-- not run: REASON -->` in front of a block leaves it out.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import assets

pytestmark = [pytest.mark.slow, pytest.mark.npu]

DOCS = Path(__file__).resolve().parents[1] / "docs"
FIRST = DOCS / "tutorial" / "first_package.md"
PAGES = [
    page
    for page in sorted([*DOCS.glob("tutorial/*.md"), *DOCS.glob("how-to/*.md")])
    if page != FIRST
]
_BLOCK = re.compile(r"^(<!-- not run: .+ -->\n)?```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_NAMED = re.compile(r"# ([\w./-]+\.\w+)\b")


def steps(page: Path) -> Iterator[tuple[str, str]]:
    """The blocks that are done: a file's name or `sh`, and the text."""
    for left_out, language, text in _BLOCK.findall(page.read_text(encoding="utf-8")):
        named = _NAMED.match(text)
        if left_out:
            continue
        if named:
            yield named[1], text
        elif language == "sh":
            yield "sh", text


def follow(page: Path, folder: Path) -> None:
    """Does in a folder what a page says."""
    python = f'python() {{ "{sys.executable}" "$@"; }}\n'
    programs = 'snapq() { python -m snapq "$@"; }\npip() { python -m pip "$@"; }\nset -e\n'
    for name, text in steps(page):
        if name != "sh":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
            continue
        done = subprocess.run(
            ["bash", "-c", python + programs + text],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
            env={**os.environ, "PIP_FIND_LINKS": str(assets.cache() / "wheels")},
        )
        assert done.returncode == 0, f"{page.name}:\n{text}\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="module")
def after_the_tutorial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a reader who has done the first page."""
    folder = tmp_path_factory.mktemp("reader")
    follow(FIRST, folder)
    return folder


def test_the_first_page_ends_with_an_answer(after_the_tutorial: Path) -> None:
    done = subprocess.run(
        [sys.executable, "use.py"],
        cwd=after_the_tutorial,
        capture_output=True,
        text=True,
        check=True,
    )
    upright, upside_down = map(float, re.findall(r"[\d.e-]+(?=[ \]])", done.stdout)[-2:])
    assert upside_down > 0.9 > upright


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_says_works(page: Path, after_the_tutorial: Path, tmp_path: Path) -> None:
    folder = tmp_path / "reader"
    shutil.copytree(after_the_tutorial, folder, symlinks=True)
    follow(page, folder)
