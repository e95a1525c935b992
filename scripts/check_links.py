"""Checks what the Markdown files of the repository point to.

    python scripts/check_links.py

1. A relative link leads to a file or folder of the repository, and to a heading where it has one.
2. A path in code marks, such as `snapq/graph/io.py`, exists; `{a,b}`, `*` and NAME stand for any.

The changelog tells of paths that were; only its links are checked. Exit code 1 with a line each.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The anchors that the headings of a Markdown text have on GitHub and in the built pages."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(text))
    return {heading.strip().replace(" ", "-") for heading in plain}


def broken_links(file: Path, text: str) -> Iterator[str]:
    """Links of a file that lead nowhere; those with a scheme are not followed."""
    for link in _LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (file.parent / path).resolve() if path else file
        if not target.exists() or ROOT not in (target, *target.parents):
            yield f"{link} does not exist"
        elif anchor and anchor not in anchors(_FENCED.sub("", target.read_text(encoding="utf-8"))):
            yield f"{link}: there is no such heading"


def missing_paths(text: str, folders: set[str]) -> Iterator[str]:
    """Paths of the repository in code marks that are not there."""
    for code in _CODE.findall(text):
        first, slash, _ = code.partition("/")
        if not slash or first not in folders or re.search(r"[\s:$~<>()]", code):
            continue
        pattern = re.sub(r"\{[^}]*\}|\b[A-Z_]{2,}\b", "*", code.rstrip("/"))
        if not any(ROOT.glob(pattern)):
            yield f"`{code}` does not exist"


def main() -> int:
    """The command line."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split("\0")
    folders = {name.partition("/")[0] for name in listed if "/" in name}
    files = [ROOT / name for name in listed if name.endswith(".md") and (ROOT / name).exists()]
    assert files, "no Markdown found"
    count = 0
    for file in files:
        text = _FENCED.sub("", file.read_text(encoding="utf-8"))
        found = list(broken_links(file, text))
        if file.name != "CHANGELOG.md":
            found += missing_paths(text, folders)
        for fault in found:
            print(f"{file.relative_to(ROOT)}: {fault}")
        count += len(found)
    print(f"{len(files)} Markdown files, {count} broken links and paths", file=sys.stderr)
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
