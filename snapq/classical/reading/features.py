"""Operators of ai.onnx.ml that prepare features or name what comes out."""

from __future__ import annotations

from typing import Any

import numpy as np

from snapq.classical.reading.graph import Array, Node
from snapq.classical.reading.reader import Reader
from snapq.classical.reading.registry import reads

_FLOATS = (np.float32, np.float64, np.int32, np.int64)


def _numbers(reader: Reader, node: Node, *types: Any) -> str:
    """The input of a node, of one of the types that ONNX Runtime takes there."""
    name = reader.wanted(node)
    if reader.samples[name].dtype not in [np.dtype(kind) for kind in types]:
        kind = reader.samples[name].dtype
        raise node.error(f"ONNX Runtime does not compute it on inputs of type {kind}")
    return name


@reads("Scaler")
def read_scaler(reader: Reader, node: Node) -> None:
    """Reads (x - offset) scale."""
    name = _numbers(reader, node, *_FLOATS)
    arrays = {key: node.array(key, np.float32) for key in ("offset", "scale")}
    width = reader.samples[name].shape[1 if reader.samples[name].ndim > 1 else 0]
    if len(arrays["offset"]) != len(arrays["scale"]) or len(arrays["scale"]) not in (1, width):
        raise node.error(f"its offset and scale do not fit {width} columns")
    reader.add("Scaler", name, arrays=arrays, outputs=node.outputs[:1])


@reads("Imputer")
def read_imputer(reader: Reader, node: Node) -> None:
    """Reads what stands in for missing values."""
    name = _numbers(reader, node, np.float32, np.int64)
    whole = reader.samples[name].dtype == np.int64
    kind, key = (np.int64, "int64") if whole else (np.float32, "float")
    values = node.array(f"imputed_value_{key}s", kind)
    if not len(values):
        raise node.error(f"it has no values for inputs of type {kind.__name__}")
    arrays = {
        "imputed_values": values,
        "replaced_value": np.asarray([node.attributes.get(f"replaced_value_{key}", 0)], kind),
    }
    reader.add("Imputer", name, arrays=arrays, outputs=node.outputs[:1])


@reads("Normalizer")
def read_normalizer(reader: Reader, node: Node) -> None:
    """Reads the division by a norm."""
    norm = node.attributes.get("norm", "MAX")
    if norm not in ("MAX", "L1", "L2"):
        raise node.error(f"its norm '{norm}' is not covered")
    name = _numbers(reader, node, *_FLOATS)
    if reader.samples[name].ndim > 2:
        raise node.error("its input has more than two axes")
    reader.add("Normalizer", name, attributes={"norm": norm}, outputs=node.outputs[:1])


@reads("Binarizer")
def read_binarizer(reader: Reader, node: Node) -> None:
    """Reads a threshold."""
    threshold = float(node.attributes.get("threshold", 0.0))
    reader.add(
        "Binarizer",
        _numbers(reader, node, np.float32),
        attributes={"threshold": threshold},
        outputs=node.outputs[:1],
    )


@reads("OneHotEncoder")
def read_one_hot(reader: Reader, node: Node) -> None:
    """Reads categories that are integers."""
    name = _numbers(reader, node, np.float32, np.float64, np.int64)
    categories = node.array("cats_int64s", np.int64)
    if not len(categories):
        raise node.error("its categories are text, but its input is of numbers")
    reader.add(
        "OneHotEncoder",
        name,
        attributes={"zeros": int(node.attributes.get("zeros", 1))},
        arrays={"categories": categories},
        outputs=node.outputs[:1],
    )


@reads("LabelEncoder")
def read_label_encoder(reader: Reader, node: Node) -> None:
    """Reads a table of keys and values."""
    name = reader.wanted(node)
    text = reader.samples[name].dtype.kind == "U"
    if node.version == 1:
        classes = np.array(node.attributes.get("classes_strings", ()), np.str_)
        numbers = np.arange(len(classes), dtype=np.int64)
        keys, values = (classes, numbers) if text else (numbers, classes)
        default: Any = node.attributes.get("default_int64", -1)
        if not text:
            default = node.attributes.get("default_string", "_Unused")
    else:
        keys, values = (_table(node, side) for side in ("keys", "values"))
        default = _default(node, values)
    if not len(keys) or len(keys) != len(values):
        raise node.error(f"it has {len(keys)} keys and {len(values)} values")
    if (keys.dtype.kind == "U" and not text) or (keys.dtype.kind != "U" and text):
        raise node.error("its keys and its input are of different types")
    if node.version < 4 and keys.dtype.kind == "f":  # a NaN is no key before version 4
        keys, values = keys[~np.isnan(keys)], values[~np.isnan(keys)]
    wanted = np.array([default]).astype(values.dtype) if values.dtype.kind != "U" else None
    arrays = {
        "keys": keys,
        "values": values,
        "default": np.array([str(default)]) if wanted is None else wanted,
    }
    if wanted is None:  # room for the longest text
        arrays["values"] = values.astype(np.result_type(values.dtype, arrays["default"].dtype))
    reader.add("LabelEncoder", name, arrays=arrays, outputs=node.outputs[:1])


_KINDS: tuple[tuple[str, Any], ...] = (
    ("int64s", np.int64),
    ("floats", np.float32),
    ("strings", np.str_),
)


def _table(node: Node, side: str) -> Array:
    """The keys or values, of whatever type the node has them."""
    if f"{side}_tensor" in node.attributes:
        return np.asarray(node.attributes[f"{side}_tensor"]).reshape(-1)
    for suffix, kind in _KINDS:
        if f"{side}_{suffix}" in node.attributes:
            return np.array(node.attributes[f"{side}_{suffix}"], kind)
    raise node.error(f"it has no {side}")


def _default(node: Node, values: Array) -> Any:
    """What stands for other keys."""
    if "default_tensor" in node.attributes:
        return np.asarray(node.attributes["default_tensor"]).reshape(-1)[0]
    if values.dtype.kind == "U":
        return node.attributes.get("default_string", "_Unused")
    if values.dtype.kind == "f":
        return node.attributes.get("default_float", -0.0)
    return node.attributes.get("default_int64", -1)


@reads("FeatureVectorizer")
def read_vectorizer(reader: Reader, node: Node) -> None:
    """Reads inputs that stand beside each other."""
    names = [reader.wanted(node, index) for index in range(len(node.inputs))]
    widths = node.array("inputdimensions", np.int64)
    if len(widths) != len(names) or (widths < 0).any():
        raise node.error(f"it has {len(widths)} inputdimensions for {len(names)} inputs")
    attributes = {"inputdimensions": widths.tolist()}
    reader.add("FeatureVectorizer", *names, attributes=attributes, outputs=node.outputs[:1])


@reads("ArrayFeatureExtractor")
def read_extractor(reader: Reader, node: Node) -> None:
    """Reads columns that are taken; their indices must be constants."""
    name, indices = reader.wanted(node), node.inputs[1] if len(node.inputs) > 1 else ""
    chosen = reader.wanted(node, 1)
    width = reader.samples[name].shape[-1] if reader.samples[name].ndim else 0
    taken = reader.samples[chosen]
    if not taken.size or taken.dtype.kind not in "iu" or not width:
        raise node.error(f"its indices '{indices}' are no integers")
    if (taken < 0).any() or (taken >= width).any():
        raise node.error(f"it takes a column that is not among the {width} of its input")
    reader.add("ArrayFeatureExtractor", name, chosen, outputs=node.outputs[:1])


@reads("ZipMap")
def read_zip_map(reader: Reader, node: Node) -> None:
    """Leaves the table of names out: the scores stay a matrix, a column a class."""
    labels = node.attributes.get("classlabels_strings") or node.attributes.get("classlabels_int64s")
    reader.add("Identity", reader.wanted(node), outputs=node.outputs[:1])
    order = ", ".join(str(label) for label in (labels or [])[:10])
    more = " …" if len(labels or []) > 10 else ""
    reader.notes.append(
        f"'{node.outputs[0]}' is a matrix [rows, classes] instead of a list of tables; "
        f"its columns are the classes {order}{more}."
    )


@reads("CategoryMapper", "CastMap", "DictVectorizer")
def refuse_tables(_: Reader, node: Node) -> None:
    """Refuses what works on text and tables of names."""
    raise node.error(
        "it works on text or tables of names, which are not covered",
        hint="Encode the features as numbers before the model, and convert it without that part.",
    )
