"""Programs that run the package, filled in for the model: C++, Python, C# and Kotlin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snapq.bundle.application.facts import ApplicationFacts
from snapq.bundle.application.header import views
from snapq.bundle.application.identifiers import c_float, identifiers
from snapq.bundle.application.templating import render
from snapq.bundle.application.tensors import TensorView
from snapq.bundle.schema import BundleDevice, Manifest

__all__ = ["SAMPLES", "Sample", "samples", "without_sample"]

SAMPLES = {
    "cpp": "samples/main.cpp",
    "python": "samples/main.py",
    "csharp": "samples/Program.cs",
    "kotlin": "samples/Main.kt",
}
"""Where in the bundle each program is, by language."""

RUN_OPTIONS = ("backend_type", "soc_model", "enable_htp_fp16_precision")
"""Provider options that loading a compiled package needs, as `snapq_io.py` has them."""

_WORDS = frozenset(
    {
        "and",
        "args",
        "as",
        "assert",
        "async",
        "await",
        "auto",
        "base",
        "bool",
        "break",
        "bundle",
        "byte",
        "case",
        "catch",
        "class",
        "const",
        "continue",
        "def",
        "default",
        "del",
        "delete",
        "do",
        "double",
        "elif",
        "else",
        "enum",
        "env",
        "except",
        "extern",
        "false",
        "feeds",
        "finally",
        "fixed",
        "float",
        "for",
        "from",
        "fun",
        "global",
        "goto",
        "if",
        "import",
        "in",
        "int",
        "is",
        "lambda",
        "library",
        "lock",
        "long",
        "main",
        "memory",
        "model",
        "namespace",
        "new",
        "none",
        "nonlocal",
        "not",
        "null",
        "np",
        "npu",
        "object",
        "operator",
        "options",
        "or",
        "out",
        "outputs",
        "package",
        "params",
        "pass",
        "path",
        "picture",
        "print",
        "private",
        "public",
        "raise",
        "ref",
        "return",
        "session",
        "short",
        "sizeof",
        "static",
        "step",
        "steps",
        "struct",
        "switch",
        "sys",
        "this",
        "throw",
        "true",
        "try",
        "typeof",
        "union",
        "unsigned",
        "using",
        "val",
        "values",
        "var",
        "void",
        "volatile",
        "when",
        "while",
        "with",
        "yield",
    }
)
"""What no variable may be called in one of the languages, or is called in the programs."""

_CSHARP = {
    "uint8": "byte",
    "int8": "sbyte",
    "uint16": "ushort",
    "int16": "short",
    "uint32": "uint",
    "int32": "int",
    "uint64": "ulong",
    "int64": "long",
    "float16": "Float16",
    "bfloat16": "BFloat16",
    "float32": "float",
    "float64": "double",
    "bool": "bool",
}
_ONNX = {"float32": "FLOAT", "float64": "DOUBLE"}
_JAVA = {
    "uint8": "UINT8",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FLOAT16",
    "bfloat16": "BFLOAT16",
    "float32": "FLOAT",
    "float64": "DOUBLE",
    "bool": "BOOL",
}
"""The Java API has no type for the others."""
_KOTLIN_READ = {
    "uint8": ("byteBuffer", "(it.get(index).toInt() and 0xff)"),
    "int8": ("byteBuffer", "it.get(index).toInt()"),
    "bool": ("byteBuffer", "it.get(index).toInt()"),
    "int16": ("shortBuffer", "it.get(index).toInt()"),
    "int32": ("intBuffer", "it.get(index)"),
    "int64": ("longBuffer", "it.get(index)"),
    "float16": ("floatBuffer", "it.get(index)"),
    "bfloat16": ("floatBuffer", "it.get(index)"),
    "float32": ("floatBuffer", "it.get(index)"),
    "float64": ("doubleBuffer", "it.get(index)"),
}
_KOTLIN_PUT = {"int16": "Short", "uint8": "", "int8": ""}


@dataclass(frozen=True)
class Sample:
    """An input or output as the programs have it.

    Attributes:
        view: what the header says of it.
        variable: its name in the programs.
        use: of an input `picture`, `values` or `state`.
        number: which argument of the command line it is, from 1; 0 for none.
        to: of an output that is state, the identifier of the input that takes it.
        to_variable: the same, as a variable.
    """

    view: TensorView
    variable: str
    use: str = ""
    number: int = 0
    to: str | None = None
    to_variable: str | None = None

    @property
    def id(self) -> str:
        """Part of the names of its functions in the header."""
        return self.view.id

    @property
    def name(self) -> str:
        """Name in the model."""
        return self.view.name

    @property
    def argument(self) -> int:
        """Place in `argv` of the C++ program, behind the model."""
        return self.number + 1

    @property
    def raw(self) -> bool:
        """Whether pixels feed it as they are."""
        frame = self.view.frame
        return frame is not None and "snapq_code" not in frame.statement

    @property
    def file_ctype(self) -> str:
        """What an element of its file is; halves would come as floats."""
        return self.view.model_ctype

    @property
    def numpy_type(self) -> str:
        """What an element of its file is, for numpy."""
        return "float32" if self.view.model_dtype == "float16" else _numpy(self.view.model_dtype)

    @property
    def onnx_type(self) -> str:
        """End of the name of ONNX Runtime's enumerator."""
        return _ONNX.get(self.view.dtype, self.view.dtype.upper())

    @property
    def csharp(self) -> str:
        """C# type of an element."""
        return _CSHARP[self.view.dtype]

    @property
    def java_type(self) -> str:
        """Java's name of the type."""
        return _JAVA[self.view.dtype]

    @property
    def bytes(self) -> int:
        """Of an element."""
        return 2 if self.view.dtype == "bfloat16" else np.dtype(self.view.dtype).itemsize

    @property
    def limits(self) -> tuple[int, int]:
        """Lowest and highest code."""
        limits = np.iinfo(self.view.dtype)
        return int(limits.min), int(limits.max)

    @property
    def kotlin_put(self) -> str:
        """End of the name of the method that writes a code into a buffer."""
        return _KOTLIN_PUT.get(self.view.dtype, "Int")

    @property
    def kotlin_values(self) -> str:
        """The output's values as an array of floats."""
        buffer, element = _KOTLIN_READ[self.view.dtype]
        if self.view.encoding is not None:
            zero, scale = self.view.encoding.zero_point, c_float(self.view.encoding.scale)
            element = f"({element} - {zero}) * {scale}"
        elif self.view.dtype not in ("float32", "float16", "bfloat16"):
            element = f"{element}.toFloat()"
        place = "" if self.number == 0 else str(self.number - 1)
        source = f"(outputs[{place}] as OnnxTensor).{buffer}"
        return f"{source}.let {{ FloatArray({self.view.count}) {{ index -> {element} }} }}"

    @property
    def hint(self) -> str:
        """How to fill it."""
        if self.view.image is not None and self.raw:
            image = self.view.image
            order = image.order.removeprefix("SNAPQ_")
            layout = "as it is" if self.view.shape[-1] == image.channels else "channels first"
            return f"a frame of {image.height} x {image.width} pixels, {order}, {layout}"
        if self.use == "state":
            return "the state, which stands for zero at the start"
        return f"what the float model takes ({self.view.model_comment}), in this layout"


def samples(manifest: Manifest, facts: ApplicationFacts) -> dict[str, str]:
    """The programs by language; a language that cannot hold a type of the model is left out."""
    inputs, outputs = _tensors(manifest, facts)
    values = {
        "inputs": inputs,
        "outputs": outputs,
        "labels": facts.labels,
        "state": dict(facts.state),
        "files": [item.variable for item in inputs if item.number],
        "options": _options(manifest.devices),
        "compiled": manifest.devices[0].model if manifest.devices else "the compiled model",
        "cut": manifest.tail is not None,
        "tail": _tail(manifest, inputs, outputs),
        "steps": _steps(inputs),
        "first_values": next((item.variable for item in inputs if item.use == "values"), "()"),
        "has": {
            "picture": any(item.use == "picture" for item in inputs),
            "file": any(item.use == "values" for item in inputs),
        },
    }
    names = {SAMPLES[key]: key for key in SAMPLES if key not in without_sample(manifest)}
    return {
        language: render(path.removeprefix("samples/"), **values)
        for path, language in names.items()
    }


def without_sample(manifest: Manifest) -> Mapping[str, str]:
    """Languages for which there is no program, each with the reason."""
    tensors = (*manifest.inputs, *manifest.outputs)
    found = {}
    if manifest.host is not None:
        reason = "rows are encoded and answers decoded around the package, see below."
        found = dict.fromkeys(("cpp", "csharp", "kotlin", "python"), reason)
    if any("bfloat16" in (item.dtype, item.model.dtype) for item in tensors):
        found |= dict.fromkeys(("cpp", "python"), "the model has tensors of bfloat16.")
    unknown = sorted({item.dtype for item in tensors} - set(_JAVA))
    if unknown:
        found["kotlin"] = (
            f"ONNX Runtime's Java API has no tensors of {unknown[0]}; a package made with "
            "`io: {dtype: float}` has none either."
        )
    return found


def _tensors(
    manifest: Manifest, facts: ApplicationFacts
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Inputs and outputs with what the programs do with them."""
    inputs, outputs = views(manifest)
    names = identifiers([view.name for view in (*inputs, *outputs)], _WORDS)
    variables = [name if name[0].isalpha() else f"tensor_{name}" for name in names]
    given, number = [], 0
    for view, variable in zip(inputs, variables, strict=False):
        use = "values" if view.frame is None else "picture"
        use = "state" if view.name in facts.state.values() else use
        number += use != "state"
        given.append(Sample(view, variable, use, number if use != "state" else 0))
    known = {item.name: item for item in given}
    found = []
    for index, (view, variable) in enumerate(zip(outputs, variables[len(inputs) :], strict=True)):
        taker = known.get(facts.state.get(view.name, ""))
        to = (None, None) if taker is None else (taker.id, taker.variable)
        found.append(Sample(view, variable, "", index + 1, *to))
    return tuple(given), tuple(found)


def _tail(
    manifest: Manifest, inputs: Sequence[Sample], outputs: Sequence[Sample]
) -> dict[str, object] | None:
    """What the C++ program needs to run the tail; None where it cannot feed it."""
    if manifest.tail is None:
        return None
    known = {("output", item.name): item for item in outputs}
    known |= {("input", item.name): item for item in inputs if item.use == "values"}
    taken = []
    for one in manifest.tail.inputs:
        item = known.get((one.source, one.name))
        if item is None or one.dtype != item.numpy_type or not item.view.count:
            return None
        held = f"out_{item.id}.get()"
        if one.source == "input":
            held = f"const_cast<char *>(file_{item.id}.data())"
        taken.append(
            {
                "name": one.name,
                "data": held,
                "bytes": f"{item.view.macro}_COUNT * sizeof({item.view.model_ctype})",
                "shape": item.view.model_shape,
                "onnx_type": _ONNX.get(one.dtype, one.dtype.upper()),
            }
        )
    given = {item.name for item in outputs}
    results = [name for name in manifest.tail.outputs if name not in given]
    return {"model": manifest.tail.model, "inputs": taken, "outputs": results} if results else None


def _steps(inputs: Sequence[Sample]) -> str:
    """How many steps the first file holds, in C++."""
    for item in inputs:
        if item.use == "values":
            size = f"({item.view.macro}_COUNT * sizeof({item.file_ctype}))"
            return f"file_{item.id}.size() / {size}"
    return "1"


def _options(devices: Sequence[BundleDevice]) -> list[tuple[str, str]]:
    """Provider options of the first device, those that loading needs."""
    known = devices[0].options if devices else {"backend_type": "htp"}
    return [(key, known[key]) for key in RUN_OPTIONS if key in known]


def _numpy(dtype: str) -> str:
    return "bool_" if dtype == "bool" else dtype
