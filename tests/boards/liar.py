"""A board that lies: its Python runs what snapq sends it, and edits what that answers.

An edit names a kind of answer (`*`: any), where in it (a path of keys and numbers; `*`: each), and
what is done. Values are JSON text, so that they may be what no program could write.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

from snapq.boards.inventory import Board, BoardSetup
from tests.boards.sshd import Sshd

_PROGRAM = r"""#!@PYTHON@
import json, subprocess, sys, time

EDITS = json.loads(@EDITS@)

def change(value, path, edit):
    if not path:
        return 1000 * value if edit["how"] == "times 1000" else edit["mark"]
    first, *rest = path
    if isinstance(value, dict):
        places = list(value) if first == "*" else [first]
    elif isinstance(value, list):
        places = [n for n in range(len(value)) if first in ("*", n)]
    else:
        return edit["mark"] if edit["how"] == "set" else value
    for place in reversed(places):
        if edit["how"] == "drop" and not rest:
            if isinstance(value, list) or place in value:
                del value[place]
        else:
            old = value.get(place) if isinstance(value, dict) else value[place]
            value[place] = change(old, rest, edit)
    return value

def answers(line):
    said, changed = json.loads(line), False
    if not isinstance(said, dict):
        raise SystemExit("the program says what is no answer")
    for edit in EDITS:
        if edit["kind"] not in ("*", said.get("type")):
            continue
        edit["seen"] = edit.get("seen", 0) + 1
        if edit["seen"] <= edit["after"]:
            continue
        how, value = edit["how"], edit["value"]
        if how == "drop" and not edit["path"]:
            return
        if how == "say":
            yield value.encode() + b"\n"
        elif how == "cut":
            yield line[: len(line) // 2]
            stop(0)
        elif how == "for ever":
            while True:
                yield (value.encode() + b"\n") if value != "null" else line
                time.sleep(0.2)
        elif how == "wait":
            time.sleep(float(value))
        elif how == "repeat":
            yield from [line] * int(value)
        elif how == "stop":
            stop(int(value))
        else:
            said, changed = change(said, edit["path"], edit), True
            if not isinstance(said, dict):
                break
    if changed:
        text = json.dumps(said)
        for edit in EDITS:
            text = text.replace(json.dumps(edit["mark"]), edit["value"])
        line = text.encode() + b"\n"
    yield line

def stop(code):
    sys.stdout.flush()
    process.kill()
    sys.exit(code)

process = subprocess.Popen(["@PYTHON@", *sys.argv[1:]], stdout=subprocess.PIPE)
for line in process.stdout:
    for answer in answers(line):
        sys.stdout.buffer.write(answer)
        sys.stdout.buffer.flush()
sys.exit(process.wait())
"""


@dataclass(frozen=True)
class Edit:
    """One lie.

    Attributes:
        kind: of the answers that it changes: `loaded`, `turn`, and so on.
        how: `set` or `drop` what is at `path` (all of the answer where that is empty), make a
            number there `times 1000`, `say` a line before, `cut` the line, `wait`, `repeat` the
            line, say a line (this one where no value is given) `for ever`, or `stop`.
        path: where in the answer.
        value: JSON to set, a line to say, seconds, a number, an exit code.
        after: so many answers of the kind pass first.
    """

    kind: str
    how: str
    path: Sequence[str | int] = ()
    value: str = "null"
    after: int = 0


@contextmanager
def lying(server: Sshd, board: Board, edits: Sequence[Edit], name: str) -> Iterator[Board]:
    """The board, while its Python tells these lies; `name` is that of its file there."""
    marked = [{**asdict(edit), "mark": f"value {number}"} for number, edit in enumerate(edits)]
    path = server.home / name
    program = _PROGRAM.replace("@EDITS@", repr(json.dumps(marked)))
    path.write_text(program.replace("@PYTHON@", sys.executable))
    path.chmod(0o755)
    try:
        yield replace(board, setup=BoardSetup(python=str(path)))
    finally:
        path.unlink()
