"""Files of other frameworks: what they are, and how their models become ONNX.

A row a format: how it is recognized by its bytes or its name, what it is, and what to type.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

from snapq.errors import ModelError

_PYTORCH = (
    'Load it in PyTorch, then: torch.onnx.export(model.eval(), (example,), "model.onnx", '
    "dynamo=True)"
)
_KERAS = (
    'keras.models.load_model(PATH).export("model.onnx", format="onnx"), or '
    "python -m tf2onnx.convert --keras PATH --output model.onnx"
)


@dataclass(frozen=True)
class Format:
    """A format of another framework.

    Attributes:
        what: what such a file is.
        hint: how its model becomes ONNX.
        suffixes: endings of its name.
        magic: bytes with which it begins, and the place of them.
        member: a file within it, where it is a ZIP archive.
    """

    what: str
    hint: str
    suffixes: tuple[str, ...] = ()
    magic: tuple[int, bytes] | None = None
    member: str | None = None


FORMATS = (
    Format(
        "a TensorFlow Lite model",
        "Convert it: python -m tf2onnx.convert --tflite PATH --output model.onnx",
        (".tflite", ".lite"),
        magic=(4, b"TFL3"),
    ),
    Format("a Keras model", _KERAS, (".h5", ".hdf5"), magic=(0, b"\x89HDF\r\n\x1a\n")),
    Format("a Keras model", _KERAS, (".keras",), member="model.weights.h5"),
    Format(
        "a PyTorch program (torch.export)",
        'Convert it: torch.onnx.export(torch.export.load(PATH), f="model.onnx")',
        (".pt2",),
        member="serialized_exported_program.json",
    ),
    Format(
        "a TorchScript model",
        'Convert it: torch.onnx.export(torch.jit.load(PATH), (example,), "model.onnx", '
        "dynamo=False); better, export the PyTorch model that it was made of",
        member="constants.pkl",
    ),
    Format("a PyTorch checkpoint", _PYTORCH, (".pt", ".pth", ".ckpt"), member="data.pkl"),
    Format(
        "a file of weights alone (safetensors)",
        f"{_PYTORCH}; of Hugging Face: optimum-cli export onnx --model FOLDER OUTPUT",
        (".safetensors",),
        magic=(8, b'{"'),
    ),
    Format(
        "a GGUF model for llama.cpp",
        "Export the model that it was made of; of Hugging Face: optimum-cli export onnx",
        (".gguf",),
        magic=(0, b"GGUF"),
    ),
    Format(
        "a TensorFlow graph",
        "Convert its SavedModel: python -m tf2onnx.convert --saved-model FOLDER "
        "--output model.onnx",
        (".pb",),
    ),
    Format(
        "a Core ML model",
        "Export the model that it was made of to ONNX.",
        (".mlmodel", ".mlpackage"),
    ),
    Format(
        "a model in ONNX Runtime's own format",
        "Give the ONNX model that it was made of.",
        (".ort",),
        magic=(4, b"ORTM"),
    ),
    Format(
        "a pickle of Python, such as scikit-learn's",
        "Convert it: skl2onnx.to_onnx(model, rows[:1]) and write its SerializeToString()",
        (".pkl", ".pickle", ".joblib"),
    ),
    Format("an archive of arrays, and no model", "Name the .onnx file.", (".npz", ".npy")),
)


def refuse_other_format(path: Path, data: bytes) -> None:
    """Raises `ModelError` where a file that is not ONNX is known to be of another framework."""
    known = _by_content(path, data) or _by_name(path)
    if known is not None:
        raise ModelError(
            f"The file is {known.what}, and no ONNX model.",
            where=str(path),
            hint=known.hint.replace("(PATH)", f'("{path}")').replace("PATH", str(path)),
        )


def refuse_folder(path: Path) -> None:
    """Raises `ModelError` for a folder in the place of a model."""
    if (path / "saved_model.pb").is_file():
        what = "This is a SavedModel of TensorFlow, and no ONNX model."
        hint = f"Convert it: python -m tf2onnx.convert --saved-model {path} --output model.onnx"
    elif any(path.glob("*.safetensors")) or (path / "config.json").is_file():
        what = "This is a folder of Hugging Face, and no ONNX model."
        hint = f"Convert it: optimum-cli export onnx --model {path} OUTPUT"
    else:
        what, hint = "This is a folder.", "Name the .onnx file in it."
    raise ModelError(what, where=str(path), hint=hint)


def _by_content(path: Path, data: bytes) -> Format | None:
    for one in FORMATS:
        if one.magic is not None and data[one.magic[0] :].startswith(one.magic[1]):
            return one
    if not data.startswith(b"PK"):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.rpartition("/")[2] for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return None
    return next((one for one in FORMATS if one.member in names), None)


def _by_name(path: Path) -> Format | None:
    suffix = path.suffix.lower()
    return next((one for one in FORMATS if suffix in one.suffixes), None)
