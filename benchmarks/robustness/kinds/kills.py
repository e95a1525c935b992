"""Runs that are killed or interrupted at any moment; the run after that is like one undisturbed."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from benchmarks.robustness import projects, shell
from benchmarks.robustness.case import Case, Outcome
from benchmarks.robustness.execute import start_python

_RUN = ("run", "deploy.yaml", "--runs", "runs", "--output", "out")
_SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
REFERENCE = "reference"
_SECONDS = "seconds"
_DEPLOY = """\
name: tiny
model: {path: tiny.onnx, inputs: {image: [1, 3, 32, 32]}}
devices: [qcs9075]
data: {calibration: {images: pictures, preprocess: {mean: 127, std: 128}}}
stages: [{quantize: {preset: fast, never_slower: false}}, {package: {golden_samples: 1}}]
"""


def prepare(shared: Path) -> None:
    """Does one run in peace, which says how long it takes and what it leaves."""
    projects.make(shared)
    place = shared / REFERENCE
    place.mkdir()
    make(place, shared)
    done = run_again(place)
    if done.exit_code != 0:
        raise RuntimeError(f"the run that all are compared with failed: {done.stderr}")
    (shared / _SECONDS).write_text(str(done.wall_s))


def draw(random: Random, folder: Path) -> Case:
    """Draws the moment, the signal, and whether the workers get it too."""
    make(folder)
    seconds = float((folder.parent / "shared" / _SECONDS).read_text())
    times = [random.uniform(0, 1.05 * seconds) for _ in range(random.choice((1, 1, 2)))]
    number, group = random.choice(_SIGNALS), random.random() < 0.5

    def run(place: Path) -> list[Outcome]:
        codes = [_struck(place, after, number, group) for after in times]
        return [*codes, run_again(place)]

    whom = "with all workers" if group else "alone"
    moments = ", ".join(f"{after:.1f} s" for after in times)
    what = f"{number.name} {whom} after {moments}"
    return Case(what, exits=frozenset({0, 130}), run=run, check=check)


def make(folder: Path, shared: Path | None = None) -> None:
    """Writes the project; its files are links to the shared ones."""
    for name in projects.FILES:
        (folder / name).symlink_to((shared or folder.parent / "shared") / name)
    (folder / "deploy.yaml").write_text(_DEPLOY, encoding="utf-8")
    (folder / "tmp").mkdir()


def _environment(folder: Path) -> dict[str, str | None]:
    return {"TMPDIR": str(folder / "tmp"), "SNAPQ_HISTORY": str(folder / "history.sqlite")}


def run_again(folder: Path) -> Outcome:
    """Runs the project to its end."""
    line = f"rm -rf out; exec $SNAPQ {' '.join(_RUN)}"  # a folder that is not empty is refused
    return shell.run(line, folder, _environment(folder), " ".join(_RUN))


def _struck(folder: Path, after: float, number: signal.Signals, group: bool) -> Outcome:
    """Starts the run, and sends it a signal."""
    changes = {name: value or "" for name, value in _environment(folder).items()}
    for name, value in changes.items():
        os.environ[name] = value
    started = time.monotonic()
    shutil.rmtree(folder / "out", ignore_errors=True)
    log = folder.parent / "struck"
    with log.open("wb") as file:
        process = start_python(_RUN, cwd=folder, stdout=file, stderr=file, start_new_session=True)
        time.sleep(after)
        (os.killpg if group else os.kill)(process.pid, number)
        code = process.wait(120)
    said = log.read_bytes().decode("utf-8", "replace")
    if code == -number:
        code = 130  # it could not say so itself: killed, or not yet started
    return Outcome(_RUN, code, 0.0, round(time.monotonic() - started, 2), 0.0, "", said)


def check(folder: Path, outcomes: Sequence[Outcome]) -> list[str]:
    """What the last run left is what the run in peace left, byte by byte, and nothing else."""
    found = []
    if outcomes[-1].exit_code != 0:
        found.append(f"the run after it ended with {outcomes[-1].exit_code}")
    ours, theirs = _results(folder), _results(folder.parent / "shared" / REFERENCE)
    if ours != theirs:
        names = sorted(
            name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)
        )
        found.append(f"other results: {', '.join(names[:5])}")
    found += [f"left in TMPDIR: {path.name}" for path in (folder / "tmp").iterdir()]
    return found


def _results(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of the bundle and of each model of a stage."""
    out = folder / "out"
    files = [*out.glob("bundle/**/*"), *out.glob("stages/**/*.onnx")]
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.is_file()
    }
