"""Layouts of what `QnnSystemContext_getBinaryInfo` returns, for ctypes.

Source: System/QnnSystemContext.h, QnnTypes.h and HTP/QnnHtpSystemContext.h of QAIRT (structures
V1 to V3 of each), read back on QAIRT 2.51.0. Only the fields up to the last one needed are
declared, except where a structure stands in an array and its size counts.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_float, c_int32, c_uint8, c_uint32, c_uint64, c_void_p
from typing import Any

_Version = c_uint32 * 3


class ScaleOffset(ctypes.Structure):
    """value = (q + offset) * scale: the offset is the negated zero point."""

    _fields_ = [("scale", c_float), ("offset", c_int32)]


class AxisScaleOffset(ctypes.Structure):
    """One scale and offset a channel."""

    _fields_ = [("axis", c_int32), ("count", c_uint32), ("items", POINTER(ScaleOffset))]


class _WideAxisScaleOffset(ctypes.Structure):
    """The largest member of the union; it sets the union's size."""

    _fields_ = [("head", c_uint32 * 3), ("scales", c_void_p), ("offsets", c_void_p)]


class _QuantizeUnion(ctypes.Union):
    _fields_ = [
        ("scale_offset", ScaleOffset),
        ("axis_scale_offset", AxisScaleOffset),
        ("wide", _WideAxisScaleOffset),
    ]


class QuantizeParams(ctypes.Structure):
    """Encoding of a tensor."""

    _fields_ = [("definition", c_uint32), ("encoding", c_uint32), ("value", _QuantizeUnion)]


class _ClientBuffer(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("size", c_uint32)]


class Tensor(ctypes.Structure):
    """A versioned tensor, laid out as its largest version, V2; V1 has the same first fields."""

    class _Body(ctypes.Structure):
        _fields_ = [
            ("id", c_uint32),
            ("name", c_char_p),
            ("kind", c_uint32),
            ("format", c_uint32),
            ("dtype", c_uint32),
            ("quantize", QuantizeParams),
            ("rank", c_uint32),
            ("dimensions", POINTER(c_uint32)),
            ("memory", c_uint32),
            ("buffer", _ClientBuffer),
            ("dynamic", c_void_p),
            ("sparse", c_uint32 * 3),
            ("produced", c_uint8),
        ]

    _fields_ = [("version", c_uint32), ("body", _Body)]


class Graph(ctypes.Structure):
    """A versioned graph, laid out as V3; V1 and V2 have the same first fields."""

    class _Body(ctypes.Structure):
        _fields_ = [
            ("name", c_char_p),
            ("input_count", c_uint32),
            ("inputs", POINTER(Tensor)),
            ("output_count", c_uint32),
            ("outputs", POINTER(Tensor)),
            ("updateable_count", c_uint32),
            ("updateable", c_void_p),
            ("blob_size", c_uint32),
            ("blob", c_void_p),
            ("first_op", c_uint32),
            ("last_op", c_uint32),
        ]

    _fields_ = [("version", c_uint32), ("body", _Body)]


class GraphBlob(ctypes.Structure):
    """What the HTP says of a graph (V1; V2 begins alike)."""

    _fields_ = [
        ("version", c_uint32),
        ("spill_fill_bytes", c_uint64),
        ("vtcm_bytes", c_uint32),
        ("optimization_level", c_uint32),
        ("dlbc", c_uint8),
        ("hvx_threads", c_uint64),
    ]


class ContextBlob(ctypes.Structure):
    """What the HTP says of the context."""

    _fields_ = [("version", c_uint32), ("architecture", c_uint32)]


_MADE_BY: list[tuple[str, Any]] = [
    ("backend", c_uint32),
    ("build", c_char_p),
    ("core_api", _Version),
    ("backend_api", _Version),
    ("soc_version", c_char_p),
]
_CONTENTS: list[tuple[str, Any]] = [
    ("blob_size", c_uint64),
    ("tensor_count", c_uint32),
    ("tensors", c_void_p),
    ("graph_count", c_uint32),
    ("graphs", POINTER(Graph)),
]


class _BinaryOld(ctypes.Structure):
    """Binary information V1 and V2."""

    _fields_ = [
        *_MADE_BY,
        ("hardware_version", _Version),
        ("blob_version", _Version),
        ("hardware_size", c_uint32),
        ("hardware", c_void_p),
        *_CONTENTS,
    ]


class _BinaryNew(ctypes.Structure):
    """Binary information V3."""

    _fields_ = [
        *_MADE_BY,
        ("blob_version", _Version),
        *_CONTENTS,
        ("platform", c_void_p),
        ("metadata_size", c_uint32),
        ("metadata", c_void_p),
        ("soc_model", c_uint32),
    ]


class _BinaryUnion(ctypes.Union):
    _fields_ = [("old", _BinaryOld), ("new", _BinaryNew)]


class Binary(ctypes.Structure):
    """A versioned binary information."""

    _fields_ = [("version", c_uint32), ("body", _BinaryUnion)]


DTYPES = {
    0x0008: "int8",
    0x0016: "int16",
    0x0032: "int32",
    0x0064: "int64",
    0x0108: "uint8",
    0x0116: "uint16",
    0x0132: "uint32",
    0x0164: "uint64",
    0x0216: "float16",
    0x0232: "float32",
    0x0264: "float64",
    0x0304: "sfixed4",
    0x0308: "sfixed8",
    0x0316: "sfixed16",
    0x0332: "sfixed32",
    0x0404: "ufixed4",
    0x0408: "ufixed8",
    0x0416: "ufixed16",
    0x0432: "ufixed32",
    0x0508: "bool",
}
"""Names by Qnn_DataType_t; `ufixed8` is a quantized 8-bit value."""

DEFINED = 1
"""QuantizeParams.definition where there is an encoding."""
SCALE_OFFSET = 0
AXIS_SCALE_OFFSET = 1
