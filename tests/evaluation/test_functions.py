"""Functions of the user's own are imported anew where a module that they rest on has changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapq.evaluation.functions import load_function, source_fingerprint


@pytest.mark.parametrize(
    ("imports", "between", "edited"),
    [
        ("from chain_near import W", {"chain_near.py": "from chain_far import W\n"}, "chain_far"),
        (
            "from spaces.deep import near\nW = near.W",
            {"spaces/deep/near.py": "from ..far import W\n"},
            "spaces/far",
        ),
        ("from pack.near import W", {"pack/near.py": "from .far import W\n"}, "pack/far"),
    ],
    ids=["a module behind another", "folders without __init__", "a relative import"],
)
def test_an_edited_module_counts_and_is_imported_anew(
    tmp_path: Path, imports: str, between: dict[str, str], edited: str
) -> None:
    files = {"own.py": f"{imports}\ndef f():\n    return W\n", **between, f"{edited}.py": "W = 1\n"}
    if edited.startswith("pack/"):
        files["pack/__init__.py"] = ""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    before = source_fingerprint("own:f", tmp_path)
    assert load_function("own:f", tmp_path)() == 1
    (tmp_path / f"{edited}.py").write_text("W = 2\n")
    assert source_fingerprint("own:f", tmp_path) != before
    assert load_function("own:f", tmp_path)() == 2
