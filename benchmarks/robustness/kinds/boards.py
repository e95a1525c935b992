"""Hostile boards: a real sshd whose Python answers wrongly, cuts, delays or lies; odd ssh files."""

from __future__ import annotations

import atexit
import contextlib
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from random import Random

from benchmarks.robustness import shell
from benchmarks.robustness.case import Case, Outcome
from tests.boards import boards, sshd
from tests.boards.liar import Edit, lying
from tests.bundle.bundles import make

_server: list[sshd.Sshd] = []
_open = contextlib.ExitStack()
_PATHS: dict[str, tuple[tuple[str | int, ...], ...]] = {
    "hello": (("pid",), ("started",)),
    "conditions": (
        *(("when",), ("at_s",), ("celsius",), ("cpu_khz",), ("cpu_limit_khz",), ("governors",)),
        *(("cooling",), ("load",), ("cpu_khz", 0), ("celsius", "*")),
    ),
    "fallback": (("label",), ("fallback",), ("taken",), ("reason",), ("log",)),
    "loaded": (
        *(("label",), ("golden",), ("golden", 0), ("golden", "*", "*", "largest"), ("first_ms",)),
        *(("golden", "*", "*", "exact"), ("golden", "*", "*", "span"), ("golden", 0, "*")),
        *(("placement",), ("placement", "npu"), ("placement", "cpu"), ("placement", "cpu_nodes")),
        *(("runtime",), ("options",), ("rss_loaded",), ("rss_before",), ("create_cold_ms",)),
    ),
    "turn": (("label",), ("ms",), ("ms", 0), ("ms", "*")),
    "usage": (("label",), ("rss_peak",), ("processor_s",)),
    "progress": (("share",),),
    "done": (),
    "board": (
        *(("system",), ("system", "machine"), ("system", "libc"), ("system", "os"), ("clock",)),
        *(("python", "version"), ("python", "distributions"), ("disk",), ("disk", "free")),
        *(("disk", "root"), ("soc",), ("soc", "soc_id"), ("environments",), ("npu_nodes",)),
        *(("thermal_zones",), ("emulated",), ("processor", "cores"), ("libraries",)),
    ),
    "*": (
        *(("missing",), ("missing", 0), ("missing", 0, 1), ("missing", 0, 2), ("free",)),
        *(("folder",), ("bad",), ("environment",)),
    ),
}
"""What the kinds of answers have; `*`: those that tell of files."""
_VALUES = (
    *("null", "true", "0", "-1", "1e308", "1e999", "NaN", "Infinity", "9" * 5000, "0.5", "1e-9"),
    *(
        '""',
        '"x"',
        r'"\ud800"',
        r'"\u0000"',
        r'"\u001b[31m\u202e"',
        '"' + "x" * 100_000 + '"',
        '"/"',
    ),
    *(
        '"../.."',
        '"3.²"',
        '"cpu"',
        '"npu compile"',
        "[]",
        "{}",
        "[[]]",
        "[0]",
        "[null]",
        '{"a": 1}',
    ),
    *("[" * 5000 + "]" * 5000, "[" + "0, " * 200_000 + "0]", '{"": {}}', '"<script>"', '["a"]'),
)
_SAID = (
    *(
        "",
        "[]",
        "{}",
        "null",
        '"text"',
        "{",
        '{"type": 7}',
        '{"type": "error"}',
        '{"type": "done"}',
    ),
    *(
        '{"type": "error", "what": "\\ud800", "where": [], "hint": 7}',
        "Welcome!",
        "\x1b]0;owned\x07",
    ),
    *('{"type": "exhausted", "label": "x"}', '{"type": "exhausted", "label": "w8a8"}', "[" * 9000),
    *('{"type": "damaged", "files": ["model.onnx"]}', '{"type": "waiting", "holder": "\\u001b"}'),
    *(
        '{"type": "turn", "label": "w8a8", "ms": [1]}',
        "x" * 5_000_000,
        '{"type": "hello", "pid": 2}',
    ),
)
_KNOWN_HOSTS = (
    *(
        "@cert-authority * ssh-ed25519 AAAA",
        "@revoked * ssh-rsa AAAA",
        "board",
        "\xff\xfe",
        "|1|x|y",
    ),
    *(
        "* ssh-ed25519 !!!!",
        "@what * ssh-rsa AAAA",
        "[::1]:22 ssh-rsa AAAA",
        "\0",
        "!* ssh-rsa AAAA",
    ),
)
_SSH_CONFIG = (
    *(
        "ConnectTimeout soon",
        "ConnectTimeout 5",
        "Port x",
        "Port 70000",
        "ProxyJump board",
        "Match",
    ),
    *("ProxyJump none", "HostName %h%h", "IdentityFile ~nobody-here/x", "UserKnownHostsFile none"),
    *("ProxyCommand false", "IdentityFile /dev/null", "Match exec false", "Include /nonexistent/*"),
    *("User é", "HostKeyAlias", "Host", "=", '"', "\xff", "Ciphers none", "AddressFamily inet7"),
)
_SCRIPTS = (
    *("exit 1", "exit 127", "exit 137", "kill -9 $$", "true", "cat", "yes", "echo hello; exit 3"),
    *("head -c 9000000 /dev/zero", "head -c 300000 /dev/urandom", "cat >/dev/null; echo '[1]'"),
    *("sleep 3", "echo bad >&2; exit 2", 'printf \'{"type": "bo\'', "exec 1>&-; cat >/dev/null"),
)


def prepare(shared: Path) -> None:
    """Builds a bundle, and starts the server that all cases are guests of."""
    make(shared)
    atexit.register(_open.close)
    _server.append(_open.enter_context(sshd.running(shared / "sshd")))


def draw(random: Random, folder: Path) -> Case:
    """Draws what is wrong: the answers, the Python, or the user's own ssh files."""
    kind = random.choice(("lies", "lies", "lies", "lies", "script", "known_hosts", "config"))
    home = folder / "home"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    server = _server[0]
    known, config = server.known_hosts.read_bytes(), _config(server)
    edits, script, what = [], None, kind
    if kind == "lies":
        edits = [_lie(random) for _ in range(random.choice((1, 1, 2, 3)))]
        what = "; ".join(f"{e.how} {e.kind} {list(e.path)} {e.value[:30]}" for e in edits)
    elif kind == "script":
        script = random.choice(_SCRIPTS)
        what = f"Python is a script: {script}"
    elif kind == "known_hosts":
        lines = [random.choice(_KNOWN_HOSTS).encode("latin-1") for _ in range(3)]
        known = b"\n".join(lines) + b"\n" + (known if random.random() < 0.6 else b"")
        what = f"known_hosts: {lines}"
    else:
        line = random.choice(_SSH_CONFIG)
        config = random.choice(
            (config + f"  {line}\n".encode("latin-1"), f"{line}\n".encode("latin-1") + config)
        )
        what = f"ssh config: {line}"
    (home / ".ssh" / "config").write_bytes(config)
    (home / ".ssh" / "known_hosts").write_bytes(known)
    json = ("--json",) if random.random() < 0.3 else ()

    def run(place: Path) -> list[Outcome]:
        with _python(server, place, edits, script) as python:
            return [_measure(place, python, json)]

    return Case(what, exits=frozenset({0, 2}), run=run)


def _config(server: sshd.Sshd) -> bytes:
    lines = ("Host lab", "HostName 127.0.0.1", f"Port {server.port}", f"IdentityFile {server.key}")
    return ("\n  ".join(lines) + "\n").encode()


def _lie(random: Random) -> Edit:
    kind, after = random.choice(list(_PATHS)), random.choice((0, 0, 0, 1, 3))
    how = random.choice(
        ("set",) * 6 + ("drop", "say", "cut", "repeat", "stop", "wait", "times 1000")
    )
    path = random.choice(((), ("type",), *_PATHS[kind], *_PATHS[kind], *_PATHS[kind]))
    value = {
        "set": random.choice(_VALUES),
        "say": random.choice(_SAID),
        "repeat": str(random.choice((1, 2, 50))),
        "stop": str(random.choice((0, 1, 137))),
        "wait": str(random.choice((0.1, 1.5))),
    }.get(how, "null")
    if how == "times 1000":
        kind, path = "turn", ("ms", "*")
    return Edit(kind, how, path, value, after)


@contextlib.contextmanager
def _python(server: sshd.Sshd, place: Path, edits: list[Edit], script: str | None) -> Iterator[str]:
    """What stands for the board's Python."""
    name = f"python-of-{place.parent.name}"
    if script is None:
        with lying(server, boards.board(server), edits, name) as board:
            yield board.setup.python
        return
    path = server.home / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    yield str(path)
    path.unlink()


def _measure(place: Path, python: str, json: tuple[str, ...]) -> Outcome:
    bundle = place.parent / "shared" / "bundle"
    (place / "boards.yaml").write_text(
        f"boards: [{{name: lab, address: ssh://{sshd.user()}@lab, setup: {{python: {python}}}}}]\n"
    )
    words = ("benchmark", str(bundle), "--target", "lab", "--allow", "npu", "--allow", "cpu")
    short = ("--min-runs", "1", "--min-duration", "0", "--repeats", "1", "--warmup", "0")
    changes: dict[str, str | None] = {
        "HOME": str(place / "home"),
        "SNAPQ_BOARDS": str(place / "boards.yaml"),
        "SSH_AUTH_SOCK": None,
    }
    line = " ".join(("exec $SNAPQ", *words, *short, "--no-history", *json))
    done = shell.run(line, place, changes, " ".join(("benchmark", *json)))
    shutil.rmtree(place / "home", ignore_errors=True)
    return done
