"""The table of faults: what is broken, and what must come of it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from snapq.boards.inventory import Board, BoardSetup
from snapq.boards.session.measure import Limits
from tests.boards import sshd
from tests.boards.tested_board import TestedBoard

Arrange = Callable[[TestedBoard, Path], AbstractContextManager[Board]]


@dataclass(frozen=True)
class Fault:
    """One row.

    Attributes:
        name: what is broken.
        arrange: breaks it, yields the board to measure on, and mends it afterwards.
        error: what the one error says; None where the measurement recovers by itself.
        limits: on a board as fast as this machine.
    """

    name: str
    arrange: Arrange
    error: str | None
    limits: Limits = field(default_factory=lambda: Limits(step_s=60, silence_s=5, wait_s=1))


def _address(change: Callable[[TestedBoard, Path], dict[str, object]]) -> Arrange:
    """The board at another address."""

    @contextmanager
    def arrange(tested: TestedBoard, folder: Path) -> Iterator[Board]:
        address = replace(tested.board.address, **change(tested, folder))  # type: ignore[arg-type]
        yield replace(tested.board, address=address)

    return arrange


def _no_known_hosts(tested: TestedBoard, folder: Path) -> dict[str, object]:
    (folder / "none").touch()
    return {"known_hosts": folder / "none"}


def _other_host_key(tested: TestedBoard, folder: Path) -> dict[str, object]:
    public = sshd.make_key(folder / "other").with_suffix(".pub").read_text()
    (folder / "known").write_text(f"[127.0.0.1]:{_port(tested)} {public}")
    return {"known_hosts": folder / "known"}


def _wrong_key(tested: TestedBoard, folder: Path) -> dict[str, object]:
    return {"identity": sshd.make_key(folder / "wrong")}


def _closed_port(tested: TestedBoard, folder: Path) -> dict[str, object]:
    return {"port": sshd.free_port()}


def _port(tested: TestedBoard) -> int:
    return int(tested.board.address.port or 22)  # type: ignore[union-attr]


def _with_python(tested: TestedBoard, python: str) -> Board:
    return replace(tested.board, setup=BoardSetup(python=python))


def python_script(script: str) -> Arrange:
    """A script in the place of the board's Python."""

    @contextmanager
    def arrange(tested: TestedBoard, folder: Path) -> Iterator[Board]:
        text = f"#!/bin/sh\n{script}\n"
        path = tested.do(
            f"path = home / 'python-of-a-test'\npath.write_text({text!r})\npath.chmod(0o755)\n"
            "print(path)"
        ).strip()
        try:
            yield _with_python(tested, path)
        finally:
            tested.do("(home / 'python-of-a-test').unlink()")

    return arrange


@contextmanager
def _no_python(tested: TestedBoard, folder: Path) -> Iterator[Board]:
    yield _with_python(tested, "no-such-python3")


def _signal(name: str, which: int) -> Arrange:
    """A signal to the agent (0) or to the process that holds a model (1), while it works."""
    script = (
        "for _ in range(3000):\n"
        "    found = next(pairs(), None)\n"
        "    time.sleep(0.3 if found else 0.02)\n"
        "    if found and found in pairs():\n"  # and no fork that was to become something else
        f"        os.kill(found[{which}], signal.{name})\n"
        "        break\n"
    )

    @contextmanager
    def arrange(tested: TestedBoard, folder: Path) -> Iterator[Board]:
        thread = threading.Thread(target=tested.do, args=(script,), daemon=True)
        thread.start()
        yield tested.board
        thread.join()

    return arrange


def _on_files(script: str) -> Arrange:
    """A change of the files that an earlier push left on the board."""

    @contextmanager
    def arrange(tested: TestedBoard, folder: Path) -> Iterator[Board]:
        tested.do(script)
        yield tested.board

    return arrange


_TURN_A_BIT = """
largest = max((root / "objects").iterdir(), key=lambda path: path.stat().st_size)
data = bytearray(largest.read_bytes())
data[len(data) // 2] ^= 1
largest.write_bytes(data)
"""
_EDIT_MANIFEST = """
for manifest in (root / "folders").glob("*/manifest.json"):
    manifest.write_text(manifest.read_text().replace("w8a8", "w8a9"))
"""
_LOSE_A_FILE = """
for model in (root / "folders").glob("*/model.onnx"):
    model.unlink()
"""
_LINK_A_MODEL = f"""{_LOSE_A_FILE}    model.symlink_to("/etc/passwd")
"""
_STRANGE_TIMES = """
for number, path in enumerate(sorted((root / "objects").iterdir())):
    os.utime(path, (0, 0) if number % 2 else (4.1e9, 4.1e9))
"""
_LOCK = """
file = (root / "lock").open("w")
fcntl.flock(file, fcntl.LOCK_EX)
file.write("ada on lovelace, since noon")
file.flush()
print("ready", flush=True)
"""


@contextmanager
def _other_host(tested: TestedBoard, folder: Path) -> Iterator[Board]:
    """Somebody else measures, and does not end."""
    with tested.doing(f"{_LOCK}sys.stdin.read()"):
        yield tested.board


@contextmanager
def _other_host_for_a_moment(tested: TestedBoard, folder: Path) -> Iterator[Board]:
    with tested.doing(f"{_LOCK}time.sleep({1.5 * tested.patience})"):
        yield tested.board


def _mounted(options: str) -> Arrange:
    """A file system of its own in the place of snapq's folder; only root can do that."""
    mount = (
        "root.mkdir(exist_ok=True)\n"
        f"words = ['mount', '-t', 'tmpfs', '-o', {options!r}, 'snapq-test', str(root)]\n"
        "print(subprocess.run(words, stderr=subprocess.DEVNULL).returncode)"
    )

    @contextmanager
    def arrange(tested: TestedBoard, folder: Path) -> Iterator[Board]:
        if tested.do(mount).strip() != "0":
            pytest.skip("a small file system needs root")
        try:
            yield tested.board
        finally:
            tested.do("subprocess.run(['umount', '-l', str(root)], check=True)")

    return arrange


@contextmanager
def _no_libraries(tested: TestedBoard, folder: Path) -> Iterator[Board]:
    """A Python without onnxruntime, and a host that cannot fetch it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        patch.setenv("PIP_INDEX_URL", (folder / "no-index").as_uri())
        patch.setenv("PIP_EXTRA_INDEX_URL", "")
        patch.setenv("PIP_CONFIG_FILE", os.devnull)
        bare = f"{tested.home}/bare-python"
        tested.do(f"import venv\nvenv.create({bare!r}, symlinks=True)")
        yield _with_python(tested, f"{bare}/bin/python")
        tested.do(f"import shutil\nshutil.rmtree({bare!r})")


@contextmanager
def _other_soc(tested: TestedBoard, folder: Path) -> Iterator[Board]:
    yield replace(tested.board, profile="sm8650")


FAULTS = (
    Fault("wrong key", _address(_wrong_key), r"does not let user .* in\. Tried: key "),
    Fault("unknown host", _address(_no_known_hosts), r"not known.*SHA256:.*known_hosts|none"),
    Fault("changed host key", _address(_other_host_key), r"CHANGED.*SHA256:.*ssh-keygen -R"),
    Fault("nothing listens", _address(_closed_port), "Nothing listens"),
    Fault("Python missing", _no_python, "There is no no-such-python3 on the board"),
    Fault("Python too old", python_script("echo 'Unknown option: -I' >&2; exit 2"), "too old"),
    Fault(
        "Python that prints",
        python_script("echo Welcome!"),
        "no answer: 'Welcome!'",
    ),
    Fault("onnxruntime missing, no network", _no_libraries, "cannot be fetched"),
    Fault("disk nearly full", _mounted("size=1m"), r"has 1 MB free and the push needs"),
    Fault("read-only home", _mounted("ro"), "Read-only file system.*permissions"),
    Fault("agent killed", _signal("SIGKILL", 0), "was killed"),
    Fault("agent stopped", _signal("SIGSTOP", 0), r"said nothing for \d+ s"),
    Fault("model's process killed", _signal("SIGKILL", 1), r"unexpectedly \(SIGKILL\)"),
    Fault(
        "model's process hangs",
        _signal("SIGSTOP", 1),
        r"gave no answer in [\d.]+ s",
        Limits(step_s=3, silence_s=6),
    ),
    Fault("a bit turned over", _on_files(_TURN_A_BIT), None),
    Fault("manifest edited on the board", _on_files(_EDIT_MANIFEST), None),
    Fault("a link in the place of a model", _on_files(_LINK_A_MODEL), None),
    Fault("a file lost", _on_files(_LOSE_A_FILE), None),
    Fault("clock years off", _on_files(_STRANGE_TIMES), None),
    Fault("another host measures", _other_host, r"else measures.*ada on lovelace, since noon"),
    Fault("another host ends", _other_host_for_a_moment, None, Limits(wait_s=30)),
    Fault("another SoC", _other_soc, None),
)
