"""ONNX Runtime's C# API, compiled from its sources by Debian's compiler.

The sources come with the headers, out of the same package. That compiler knows C# 7, so what they
have of C# 8 and 9 is written as in C# 7 first; what the API is and does stays the same.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.bundle.application.toolchain import api, library

_OLDER = (
    (r"\busing var\b", "var"),
    (r"\bSelect\(static ", "Select("),
    (r"^( +)([\w<>]+)( [a-z]\w* = )new\(", r"\1\2\3new \2("),
    (r": unmanaged\b", ": struct"),
    (r"^( +)(\w+)\.Span\[(\w+)\] = (.*);", r"\1{ var span = \2.Span; span[\3] = \4; }"),
    (r"\bif \((\S+) is not (\w+)\)", r"if (!(\1 is \2))"),
    (r"^( +)(\w+\[.*\]) = (\w+\[.*\]) = (.*);", r"\1\3 = \4; \2 = \3;"),
)
NAME = "Microsoft.ML.OnnxRuntime.dll"


def assembly(folder: Path) -> Path:
    """The API's assembly, compiled into `folder`."""
    if shutil.which("mcs") is None:
        pytest.skip("there is no C# compiler (Debian: mono-mcs)")
    sources = folder / "api"
    sources.mkdir()
    for path in (api() / "csharp").glob("*.cs"):
        text = path.read_text(encoding="utf-8-sig")
        for newer, older in _OLDER:
            text = re.sub(newer, older, text, flags=re.MULTILINE)
        (sources / path.name).write_text(text)
    found = folder / NAME
    # As for the .NET Framework, whose class library Mono has.
    options = ("-d:NETSTANDARD2_0", "-langversion:experimental", "-unsafe", "-warn:0")
    compiled(sources.glob("*.cs"), found, *options)
    return found


def compiled(sources: Iterable[Path], output: Path, *options: str) -> None:
    """Compiles C#; a library where `output` is a `.dll`."""
    kind = "library" if output.suffix == ".dll" else "exe"
    command = ["mcs", *options, f"-target:{kind}", f"-out:{output}", *sorted(map(str, sources))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]


def run(program: Path, *arguments: str | Path) -> str:
    """What a program beside the assembly prints."""
    if shutil.which("mono") is None:
        pytest.skip("there is no Mono to run C# (Debian: mono-runtime)")
    lib = library(program.parent / "lib")
    done = subprocess.run(
        ["mono", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"LD_LIBRARY_PATH": str(lib), "HOME": str(program.parent), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
