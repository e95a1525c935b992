"""Runs a program of `onboard` on a board and reads its answers.

The source goes over standard input, so the program on the board is always the one of this snapq.
Answers are checked before they are believed: a board may be broken, or not ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from snapq.boards.transports.base import Command, Transport
from snapq.boards.transports.lines import readable
from snapq.bundle import snapq_io
from snapq.classical import program as classical_program
from snapq.errors import ConnectionLostError, DeviceError, InstallError

ROOT = "~/.snapq"
"""snapq's folder on the board."""
BEAT = b"\n"
_MAX_ANSWER_BYTES = 4 << 20
"""What a program with one answer may say."""
_MAX_ANSWERS_BYTES = 1 << 30
"""What the agent may say: latencies, and outputs of samples."""
Answer = dict[str, Any]
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_START = (
    "import sys; r = sys.stdin.buffer.read; s = r({source}); "
    "exec(compile(s, 'snapq-{name}', 'exec'), "
    "{{'__name__': '__main__', 'JOB': r({job}), 'SOURCE': s}})"
)


def ask(
    transport: Transport,
    name: str,
    job: Mapping[str, Any],
    *,
    python: str = "python3",
    timeout_s: float = 120.0,
) -> Answer:
    """Runs a program that gives one answer.

    Raises:
        DeviceError: the program refused or failed.
        InstallError: there is no Python that can run it.
        ConnectionLostError: the connection broke.
    """
    answers: list[Answer] = []
    # Nothing is said before the one answer, however long that takes on a slow board.
    run(
        *(transport, name, job, answers.append),
        python=python,
        timeout_s=timeout_s,
        silence_s=timeout_s,
    )
    if not answers:
        raise DeviceError("The board gave no answer.", where=transport.address)
    return answers[-1]


def run(
    transport: Transport,
    name: str,
    job: Mapping[str, Any],
    take: Callable[[Answer], None],
    *,
    python: str = "python3",
    timeout_s: float | None = None,
    silence_s: float = 120.0,
    watch: Callable[[], None] | None = None,
) -> None:
    """Runs a program to its end and passes its answers on, those of type `error` raised.

    A program with a time limit reads to the end of its standard input; one without is shown again
    and again that the host still listens, and
    `watch`, called with whatever comes, raises to end it.

    Raises:
        DeviceError: the program refused or failed.
        InstallError: there is no Python that can run it.
        ConnectionLostError: the connection broke.
    """
    source, request = _source(name), json.dumps(job).encode()

    def on_line(line: bytes) -> None:
        if line.strip():
            answer = _parse(line, transport.address)
            if answer["type"] == "error":
                raise _error(answer, transport.address)
            take(answer)

    start = _START.format(source=len(source), name=name, job=len(request))
    done = transport.run(
        Command(
            [python, "-I", "-B", "-c", start],
            stdin=source + request,
            beat=BEAT if timeout_s is None else None,
            on_line=on_line,
            timeout_s=timeout_s,
            silence_s=silence_s,
            watch=watch,
            limit_bytes=_MAX_ANSWERS_BYTES if timeout_s is None else _MAX_ANSWER_BYTES,
        )
    )
    if done.code != 0:
        raise _ended(done.code, done.stderr, python, transport.address)


@cache
def _source(name: str) -> bytes:
    """A program of one file, or the start of one of several modules, with these as texts."""
    onboard = Path(__file__).parents[1] / "onboard"
    if (onboard / f"{name}.py").is_file():
        return (onboard / f"{name}.py").read_bytes()
    modules = {
        **_texts(f"snapq_{name}", onboard / name),
        **_texts("snapq_program", Path(classical_program.__file__).parent),
        "snapq_io": _text_of(snapq_io.__file__),
    }
    start = (onboard / "start.py").read_text(encoding="utf-8")
    return f"{start}\n\nstart('snapq_{name}.main', {modules!r})\n".encode()


def _texts(package: str, folder: Path) -> dict[str, str]:
    """The modules of a package as texts, by the names that they have on the board."""
    return {
        ".".join((package, *path.relative_to(folder).with_suffix("").parts)): _text_of(path)
        for path in sorted(folder.rglob("*.py"))
    }


def _text_of(path: str | Path) -> str:
    return Path(path).read_text(encoding="utf-8")


def _parse(line: bytes, address: str) -> Answer:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    plain = _SURROGATE.search(line) is None or _is_unicode(value)
    if not isinstance(value, dict) or not isinstance(value.get("type"), str) or not plain:
        raise DeviceError(
            f"The board sent what is no answer: {readable(line, 100)!r}.",
            where=address,
            hint="Check that nothing prints when a program starts on the board (.bashrc, motd).",
        )
    return value


def _is_unicode(value: object) -> bool:
    """Whether no text in `value` has half a surrogate pair, which nothing can write or send."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _error(answer: Answer, address: str) -> DeviceError:
    where = _text(answer.get("where"))
    return DeviceError(
        _text(answer.get("what")) or "The board refused.",
        where=f"{address}: {where}" if where else address,
        hint=_text(answer.get("hint")) or None,
    )


def _text(value: object) -> str:
    return readable(str(value).encode(), 1000) if value is not None else ""


def _ended(code: int, stderr: bytes, python: str, address: str) -> DeviceError | InstallError:
    said = readable(stderr)
    if code == 127 or (code == 126 and "ermission" in said):
        return InstallError(
            f"There is no {python} on the board.",
            where=address,
            hint="Install Python 3.9 or later there, or name it in boards.yaml: "
            "setup: {python: /path/to/python3}.",
        )
    if "SyntaxError" in said or "unknown option" in said.lower():
        return InstallError(
            f"{python} on the board is too old.",
            where=address,
            hint="snapq needs Python 3.9 or later there.",
        )
    if code < 0 or code in (137, 143, 129):
        return ConnectionLostError(
            "The program on the board was killed" + (f", saying: {said}." if said else "."),
            where=address,
            hint="Check the board's free memory and its log (dmesg), then try again.",
        )
    return DeviceError(
        f"The program on the board failed with code {code}" + (f": {said}." if said else "."),
        where=address,
        hint="`snapq devices probe` shows what the board lacks.",
    )
