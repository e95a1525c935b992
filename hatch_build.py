"""Writes into what is built which commit it was built from, so that reports can say so."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PLACE = "snapq/build.txt"


class CommitHook(BuildHookInterface):
    """Adds `snapq/build.txt`: the commit, with a `+` where files were changed since."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Is called before the build; an editable install has no build of its own."""
        kept = Path(self.root, PLACE)  # in a source distribution
        commit = kept.read_text(encoding="utf-8") if kept.is_file() else self._commit()
        if version == "editable" or not commit:
            return
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", prefix="snapq-build-", suffix=".txt", delete=False
        ) as file:
            file.write(commit)
        Path(file.name).chmod(0o644)
        self._file = file.name
        build_data["force_include"][file.name] = PLACE

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Is called behind the build."""
        del version, build_data, artifact_path
        if hasattr(self, "_file"):
            Path(self._file).unlink(missing_ok=True)

    def _commit(self) -> str:
        """The commit of the checkout; empty where this is none."""
        if not Path(self.root, ".git").exists():
            return ""
        commit = self._git("rev-parse", "--short=12", "HEAD")
        return commit + "+" * bool(commit and self._git("status", "--porcelain", "-uno"))

    def _git(self, *words: str) -> str:
        try:
            done = subprocess.run(
                ["git", *words], cwd=self.root, capture_output=True, text=True, check=True
            )
        except (OSError, subprocess.CalledProcessError):
            return ""
        return done.stdout.strip()
