"""The tools, their versions, and what each of them is asked to export."""

from __future__ import annotations

import os
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FLOATS", "TOOLS", "Tool", "environment", "export"]

HERE = Path(__file__).resolve().parent
_CPU_ONLY = "https://download.pytorch.org/whl/cpu"


@dataclass(frozen=True)
class Tool:
    """A tool that quantizes.

    Attributes:
        label: its name.
        environment: what its environment is called; `requirements/NAME.txt` says what it holds.
        script: in `exports/`.
        schemes: by network, what it is asked for; the script's docstring says what that means.
    """

    label: str
    environment: str
    script: str
    schemes: dict[str, tuple[str, ...]]

    @property
    def version(self) -> str:
        """The pinned version of the tool itself, as it says it."""
        lines = (HERE / "requirements" / f"{self.environment}.txt").read_text().splitlines()
        (found,) = (line for line in lines if _distribution(line) == _PACKAGES[self.environment])
        return found.partition("==")[2]


def _distribution(line: str) -> str:
    return line.partition("==")[0].partition("[")[0]


_PACKAGES = {
    "torchao": "torchao",
    "brevitas": "brevitas",
    "nncf": "nncf",
    "modelopt": "nvidia-modelopt",
    "quark": "amd-quark",
    "onnxruntime": "onnxruntime",
    "tf2onnx": "tf2onnx",
    "aimet": "aimet-onnx",
}
FLOATS = Tool("float", "torchao", "export_float.py", {})
"""Trains the networks and writes them in float, with the samples."""
TOOLS = (
    Tool(
        "PyTorch PT2E",
        "torchao",
        "export_pt2e.py",
        {"conv": ("xnnpack", "x86"), "transformer": ("xnnpack", "x86")},
    ),
    Tool(
        "Brevitas QCDQ",
        "brevitas",
        "export_brevitas.py",
        {
            "conv": ("w8a8", "w8a8-asym", "w4a8", "w8a8-po2", "w8a8-torchscript"),
            "transformer": ("w8a8", "w8a8-torchscript"),
        },
    ),
    Tool(
        "ModelOpt",
        "modelopt",
        "export_modelopt.py",
        {
            "conv": ("int8", "int8-fp16", "fp8", "int4"),
            "transformer": ("int8", "int8-fp16", "fp8", "int4"),
        },
    ),
    Tool(
        "Quark",
        "quark",
        "export_quark.py",
        {
            "conv": ("XINT8", "VINT8", "A8W8", "A16W8", "U8U8_AAWA", "BF16", "BFP16"),
            "transformer": ("XINT8", "A8W8", "A16W8"),
        },
    ),
    Tool(
        "NNCF",
        "nncf",
        "export_nncf.py",
        {"conv": ("performance", "mixed"), "transformer": ("performance", "transformer")},
    ),
    Tool(
        "ONNX Runtime",
        "onnxruntime",
        "export_onnxruntime.py",
        {
            "conv": (
                "qdq-u8-s8-channel",
                "qdq-s8-s8",
                "qdq-u8-u8",
                "qdq-u16-s8-channel-qnn",
                "qdq-u16-u8-qnn",
                "qdq-s16-s8-channel",
                "qdq-u8-s8-channel-integers",
                "qoperator-u8-u8",
                "qoperator-u8-s8-channel",
                "qoperator-s8-s8-channel-symmetric",
                "qoperator-u8-s8-integers",
            ),
            "transformer": (
                "qdq-u8-s8-channel",
                "qdq-u16-s8-channel-qnn",
                "qoperator-u8-s8-channel",
                "qoperator-u8-s8-integers",
            ),
        },
    ),
    Tool(
        "tf2onnx of TFLite",
        "tf2onnx",
        "export_tflite.py",
        {
            "conv": ("int8", "int8-io"),
            "transformer": ("int8", "int8-io"),
            "transformer-gelu": ("int8",),
        },
    ),
    Tool(
        "AIMET",
        "aimet",
        "export_aimet.py",
        {
            "conv": (
                "w8a8-htp_v73",
                "w8a8-htp_v73-bias-stored",
                "w8a8-default-signed",
                "w8a16-htp_v73",
                "w4a16-htp_v73",
            ),
            "transformer": ("w8a8-htp_v73", "w8a16-htp_v73"),
        },
    ),
)


def folder() -> Path:
    """Where the environments are: $SNAPQ_FOREIGN, or a folder of the user's cache."""
    given = os.environ.get("SNAPQ_FOREIGN")
    return Path(given) if given else Path.home() / ".cache" / "snapq-foreign"


def environment(tool: Tool) -> Path:
    """The Python of a tool's environment, made where it is not there yet (some gigabytes)."""
    place = folder() / tool.environment
    requirements = HERE / "requirements" / f"{tool.environment}.txt"
    python, stamp = place / "bin" / "python", place / "made-from.txt"
    if not stamp.is_file() or stamp.read_text() != requirements.read_text():
        print(f"  making the environment of {tool.environment} in {place} …", flush=True)
        venv.create(place, with_pip=True, clear=True)
        index = ["--extra-index-url", _CPU_ONLY, "--prefer-binary"]
        command = [python, "-m", "pip", "install", "--quiet", *index, "-r", requirements]
        subprocess.run(list(map(str, command)), check=True)
        stamp.write_text(requirements.read_text())
    return python


def export(tool: Tool, arguments: list[str]) -> str:
    """Runs a tool's script; empty where it worked, else the last line that it wrote."""
    command = [str(environment(tool)), "-W", "ignore", str(HERE / "exports" / tool.script)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return "" if done.returncode == 0 else (lines or ["failed"])[-1][:200]
