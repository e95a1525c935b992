"""An input or output as the programs in a bundle have it: names and types of each language."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snapq.bundle.application.identifiers import c_float
from snapq.bundle.application.tensors import TensorView

__all__ = ["JAVA_TYPES", "Sample", "onnx_type"]

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
JAVA_TYPES = {
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
        return onnx_type(self.view.dtype)

    @property
    def csharp(self) -> str:
        """C# type of an element."""
        return _CSHARP[self.view.dtype]

    @property
    def java_type(self) -> str:
        """Java's name of the type."""
        return JAVA_TYPES[self.view.dtype]

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


def onnx_type(dtype: str) -> str:
    """End of the name of ONNX Runtime's enumerator of a type."""
    return _ONNX.get(dtype, dtype.upper())


def _numpy(dtype: str) -> str:
    return "bool_" if dtype == "bool" else dtype
