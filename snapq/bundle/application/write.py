"""Writes what a bundle has for applications: README, C header, programs, the check."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from snapq.bundle import DEPLOYMENT
from snapq.bundle.application.facts import ApplicationFacts
from snapq.bundle.application.header import header
from snapq.bundle.application.readme import readme
from snapq.bundle.application.samples import CMAKE, SAMPLES, samples
from snapq.bundle.application.templating import render
from snapq.bundle.schema import Manifest
from snapq.storage import storage_errors, write_text

__all__ = ["HEADER", "LABELS", "README", "VERIFY", "for_applications", "write_application"]

README = "README.md"
HEADER = "include/snapq_model.h"
LABELS = "labels.txt"
VERIFY = "verify.py"


def for_applications(path: str) -> bool:
    """Whether a path in a bundle is of a file that no board needs to run it."""
    return path in (README, HEADER, LABELS, VERIFY, CMAKE, DEPLOYMENT, *SAMPLES.values())


def write_application(folder: Path, manifest: Manifest, facts: ApplicationFacts) -> None:
    """Writes the files for applications into a bundle.

    Args:
        folder: the bundle.
        manifest: what else is in it.
        facts: what the manifest does not say.

    Raises:
        StorageError: a file cannot be written.
    """
    texts: dict[str, str] = {HEADER: header(manifest, facts.labels)}
    programs = samples(manifest, facts)
    texts |= {SAMPLES[name]: text for name, text in programs.items()}
    if "cpp" in programs:
        texts[CMAKE] = render("CMakeLists.txt")
    if facts.labels:
        texts[LABELS] = "".join(f"{label}\n" for label in facts.labels)
    files = (*(file.path for file in manifest.files), *texts, VERIFY)
    texts[README] = readme(manifest, facts, files)
    _write(folder, texts)
    with storage_errors(folder / VERIFY):
        shutil.copyfile(Path(__file__).with_name(VERIFY), folder / VERIFY)


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        with storage_errors(folder / name):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_text(folder / name, text)
