"""Builds the wheel and tries it in an environment that has what it declares to need, and no more.

    python scripts/try_wheel.py [FOLDER]     # the wheel goes to dist/

The libraries are not fetched: those of the running environment are linked into the new one, but
only the ones that the wheel asks for, and that those ask for. So a file that is missing in the
wheel, and a library that it uses without saying so, both fail here. Takes some seconds.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from email.message import Message
from email.parser import Parser
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
BUILD = "import sys, hatchling.build as b; print(b.build_wheel(sys.argv[1]))"
MODEL = """\
import numpy as np
from onnx import TensorProto, helper, numpy_helper, save
weights = np.random.default_rng(0).normal(size=(32, 64)).astype(np.float32)
save(helper.make_model(helper.make_graph(
    [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])],
    "tried",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 32])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 64])],
    [numpy_helper.from_array(weights, "w")],
), opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "model.onnx")
"""


def build(folder: Path) -> Path:
    """The wheel of the checkout."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return folder / done.stdout.strip().splitlines()[-1]


def described(wheel: Path) -> Message:
    """The metadata of a wheel."""
    with ZipFile(wheel) as archive:
        name = next(one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def needed(requirements: list[str]) -> dict[str, metadata.Distribution]:
    """What is installed here of these requirements, and of what they require; by name."""
    found: dict[str, metadata.Distribution] = {}
    asked = [(Requirement(text), frozenset[str]()) for text in requirements]
    seen: set[tuple[str, frozenset[str]]] = set()
    while asked:
        requirement, extras = asked.pop()
        environments = [{"extra": extra} for extra in ("", *extras)]
        if requirement.marker and not any(map(requirement.marker.evaluate, environments)):
            continue
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        wanted = frozenset(requirement.extras)
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        found[name] = metadata.distribution(requirement.name)
        asked += [(Requirement(text), wanted) for text in found[name].requires or ()]
    return found


def link(distribution: metadata.Distribution, site: Path) -> None:
    """Links the files of an installed distribution into another environment."""
    for file in distribution.files or ():
        if file.parts[0] == ".." or "__pycache__" in file.parts:
            continue
        target = site / file
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(Path(str(file.locate())))


def environment(wheel: Path, folder: Path) -> Path:
    """An environment with the wheel and what it needs; returns its folder of programs."""
    venv.create(folder, with_pip=False)
    programs = folder / "bin"
    site = next(folder.glob("lib/python*/site-packages"))
    for distribution in needed(described(wheel).get_all("Requires-Dist") or []).values():
        link(distribution, site)
    pip = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "install"]
    subprocess.run(
        [*pip, "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", str(wheel)],
        check=True,
    )
    return programs


def attempt(wheel: Path, folder: Path) -> None:
    """Does with the installed wheel what a user does first."""
    programs = environment(wheel, folder / "environment")
    version = described(wheel)["Version"]
    alone = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder)}

    def run(*words: str) -> str:
        done = subprocess.run(words, cwd=folder, env=alone, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout

    said = run("snapq", "--version")
    assert re.fullmatch(rf"snapq {re.escape(version)}( \(build \w+\+?\))?\n", said), said
    assert str(folder) in run("python", "-c", "import snapq; print(snapq.__file__)")
    assert len(json.loads(run("snapq", "devices", "--json"))) > 40
    run("python", "-c", MODEL)
    run("snapq", "init", "model.onnx", "--device", "qcs9075")
    run("snapq", "run", "deploy.yaml", "--output", "deployed", "-q")
    report = (folder / "deployed" / "report.html").read_text(encoding="utf-8")
    assert said.split(" ", 1)[1].strip() in report, "the report does not have the build's version"
    run("python", "deployed/bundle/snapq_io.py", "--help")


def main() -> None:
    """The command line."""
    began = time.monotonic()
    wheel = build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist")
    with tempfile.TemporaryDirectory(prefix="try-wheel-") as folder:
        attempt(wheel, Path(folder))
    print(f"{wheel} works in an environment of its own ({time.monotonic() - began:.0f} s).")


if __name__ == "__main__":
    main()
