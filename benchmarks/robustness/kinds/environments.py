"""Odd environments: no home, no name, few letters, closed or full streams, lost folders."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from benchmarks.robustness import projects, shell
from benchmarks.robustness.case import Case, Outcome

_ANY = frozenset({0, 2})
_FINE = frozenset({0})
_REFUSED = frozenset({2})


@dataclass(frozen=True)
class Oddity:
    """One thing that is odd.

    Attributes:
        name: what it is.
        line: how the command is run; `@` stands for it.
        variables: of the environment; None takes one away.
        exits: how a command may end that else would end with 0.
    """

    name: str
    line: str = "@"
    variables: dict[str, str | None] = field(default_factory=dict)
    exits: frozenset[int] = _FINE


_NOBODY = "unshare --user --map-user=54321 env -u LOGNAME -u USER -u HOME @"
_MOUNTS = "unshare --user --map-root-user --mount bash -c"
ODDITIES = (
    Oddity("no HOME", variables={"HOME": None}),
    Oddity("HOME that is not there", variables={"HOME": "/nonexistent"}),
    Oddity("HOME that is empty", variables={"HOME": ""}),
    Oddity("HOME that is a file", variables={"HOME": "/etc/passwd"}),
    Oddity("a user without a name or a home", _NOBODY, exits=_ANY),
    Oddity("no variables but PATH", "env -i PATH=/usr/bin:/bin PYTHONPATH=$PYTHONPATH @"),
    Oddity("POSIX locale", variables={"LC_ALL": "POSIX", "PYTHONUTF8": "0"}),
    Oddity(
        "no coercion to UTF-8",
        variables={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ),
    Oddity("ASCII streams", variables={"PYTHONIOENCODING": "ascii"}),
    Oddity("Latin-1 streams", variables={"PYTHONIOENCODING": "latin-1:strict"}),
    Oddity("an unknown locale", variables={"LC_ALL": "xx_YY.UTF-9", "LANG": "x"}),
    Oddity("no docstrings", variables={"PYTHONOPTIMIZE": "2"}),
    Oddity("unbuffered", variables={"PYTHONUNBUFFERED": "1"}),
    Oddity("a narrow terminal", variables={"COLUMNS": "1", "LINES": "1"}),
    Oddity("a dumb terminal", variables={"TERM": "dumb", "NO_COLOR": "1"}),
    Oddity("TMPDIR that is not there", variables={"TMPDIR": "/nonexistent"}),
    Oddity("TMPDIR that is a file", variables={"TMPDIR": "/etc/passwd"}),
    Oddity("TMPDIR that may not be written", variables={"TMPDIR": "/proc"}),
    Oddity(
        "a full TMPDIR",
        f"mkdir -p t; {_MOUNTS} 'mount -t tmpfs -o size=4k none t; head -c 4096 /dev/zero > t/x; "
        "TMPDIR=$PWD/t @'",
        exits=_ANY,
    ),
    Oddity(
        "no place for temporary files at all",
        f"{_MOUNTS} 'for d in /tmp /var/tmp /usr/tmp; do mount -t tmpfs -o ro none $d; done; "
        "mount -o bind . . && mount -o remount,bind,ro .; @'",
        exits=_ANY,
    ),
    Oddity(
        "a read-only folder",
        f"{_MOUNTS} 'mount -o bind . . && mount -o remount,bind,ro . && cd $PWD && @'",
        exits=_ANY,
    ),
    Oddity("standard output closed", "@ >&-"),
    Oddity("standard error closed", "@ 2>&-"),
    Oddity("all streams closed", "@ <&- >&- 2>&-"),
    Oddity("standard output cut", "@ | true; exit ${PIPESTATUS[0]}"),
    Oddity("standard output cut after a line", "@ | head -1 > /dev/null; exit ${PIPESTATUS[0]}"),
    Oddity("standard output full", "@ > /dev/full", exits=_ANY),
    Oddity("standard error full", "@ 2> /dev/full"),
    Oddity("both full", "@ > /dev/full 2>&1", exits=_ANY),
    Oddity("a folder that is gone", "mkdir gone; cd gone; rmdir ../gone; @", exits=_REFUSED),
    Oddity(
        "a folder that is not UTF-8",
        "d=$(printf 'caf\\351'); mkdir \"$d\"; "
        'cp -rL tiny.onnx pictures labels.csv deploy.yaml "$d"; cd "$d"; @',
        exits=_ANY,
    ),
    Oddity(
        "a picture whose name is not UTF-8",
        "cp -rL pictures p; rm pictures; mv p pictures; "
        "cp pictures/0.png \"$(printf 'pictures/caf\\351.png')\"; @",
        exits=_ANY,
    ),
    Oddity("few open files", "ulimit -n 40; @", exits=_ANY),
    Oddity("little memory", "ulimit -v 1500000; @", exits=_ANY),
    Oddity("no files of any size", "ulimit -f 0; @", exits=_ANY),
    Oddity("SIGHUP ignored", "trap '' HUP; @"),
    Oddity("SIGPIPE ignored", "trap '' PIPE; @ | true; exit ${PIPESTATUS[0]}"),
    Oddity(
        "XDG folders that are files",
        variables={
            "XDG_CONFIG_HOME": "/etc/passwd",
            "XDG_DATA_HOME": "/etc/passwd",
            "XDG_CACHE_HOME": "/etc/passwd",
            "SNAPQ_HISTORY": None,
        },
        exits=_ANY,
    ),
    Oddity("a history that is no history", "echo text > h; SNAPQ_HISTORY=h @", exits=_ANY),
    Oddity("a boards.yaml that is none", "echo '[}' > b; SNAPQ_BOARDS=b @", exits=_ANY),
    Oddity(
        "device profiles that are none",
        "mkdir d; printf '\\377' > d/x.yaml; SNAPQ_DEVICE_PROFILES=d @",
        exits=_REFUSED | _FINE,
    ),
    Oddity(
        "SOURCE_DATE_EPOCH and a clock of long ago",
        variables={"SOURCE_DATE_EPOCH": "-1", "TZ": "Nowhere/Atall"},
    ),
    Oddity("warnings as errors", variables={"PYTHONWARNINGS": "error::RuntimeWarning"}),
    Oddity("hash seed", variables={"PYTHONHASHSEED": "0"}),
    Oddity(
        "no site packages of the user", variables={"PYTHONNOUSERSITE": "1", "PYTHONSAFEPATH": "1"}
    ),
)
_SHAPE = "--input image=1,3,32,32"
COMMANDS = (
    *("devices", "devices --json", "devices sm8650", "schema", "history", "doctor --json"),
    *("validate deploy.yaml", "validate deploy.yaml --json"),
    *("plan deploy.yaml", "plan deploy.yaml --json"),
    "init tiny.onnx --device qcs9075 -o new.yaml",
    f"quantize tiny.onnx -o q.onnx --random-inputs --samples 2 --preset fast {_SHAPE}",
    "run deploy.yaml --set stages=[{quantize:{}}] --set gates={} --set benchmark=null --json",
)
_LOST = "(what it said is lost)"


def prepare(shared: Path) -> None:
    projects.make(shared)


def draw(random: Random, folder: Path) -> Case:
    """Draws a command and the environment that it meets."""
    projects.link(folder)
    (folder / "deploy.yaml").write_text(projects.TEMPLATES[0], encoding="utf-8")
    odd, command = random.choice(ODDITIES), random.choice(COMMANDS)
    exits = _ANY if command == "history" else odd.exits

    def run(place: Path) -> list[Outcome]:
        done = shell.run(odd.line.replace("@", f"$SNAPQ {command}"), place, odd.variables, command)
        if not any(sign in odd.line for sign in (">", "|", "ulimit -f")):
            return [done]
        words = tuple(word for word in done.arguments if word != "--json")
        return [replace(done, arguments=words, stdout=done.stdout + _LOST)]

    return Case(f"{odd.name}: {command}", exits=exits, run=run)
