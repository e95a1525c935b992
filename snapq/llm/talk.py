"""Lets a package answer as on a device: its own program, onnxruntime-genai, in another process."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

from snapq.errors import InstallError, QnnError
from snapq.llm.files import PROGRAM, Folder
from snapq.llm.genai import GENAI_VERSION
from snapq.llm.libraries import library

__all__ = ["Answer", "ask_package"]

_LONGEST_S = 3600
_NEEDED = "onnxruntime_genai"


@dataclass(frozen=True)
class Answer:
    """What a package said.

    Attributes:
        prompt_tokens: of the question.
        tokens: of the answer.
        text: of the answer.
        seconds: that it took here, which says nothing of a device.
    """

    prompt_tokens: int
    tokens: tuple[int, ...]
    text: str
    seconds: float


def ask_package(package: Folder, prompt: str, tokens: int, *, raw: bool) -> Answer:
    """Runs `chat.py` of a package with its separate graphs; here the simulator stands for the NPU.

    Raises:
        InstallError: onnxruntime-genai is missing, or of another version.
        QnnError: the program failed.
    """
    program = package.path / PROGRAM
    found = library(_NEEDED).__version__
    if found != GENAI_VERSION:
        raise InstallError(
            f"onnxruntime-genai is {found}, and {GENAI_VERSION} is known to run such a package.",
            hint=f"Run: pip install onnxruntime-genai=={GENAI_VERSION}",
        )
    command = [sys.executable, str(program.absolute()), prompt, "--tokens", str(tokens), "--json"]
    if raw:
        command.append("--raw")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S)
    except subprocess.TimeoutExpired as error:
        raise QnnError(f"It gave no answer in {_LONGEST_S} s.", where=str(program)) from error
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        told = _last_words(done)
        raise QnnError(
            f"onnxruntime-genai does not run the package: {told[:300]}.",
            where=str(program),
            hint="Run the program by itself to see all that it says.",
        )
    said = json.loads(lines[-1])
    return Answer(
        int(said["prompt_tokens"]), tuple(said["tokens"]), str(said["text"]), float(said["seconds"])
    )


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    """Why a program failed, as far as it said."""
    said = done.stderr.strip() or done.stdout.strip()
    if done.returncode < 0:
        return f"signal {-done.returncode} ended it"
    return said.splitlines()[-1].rstrip(".") if said else "it said nothing"
