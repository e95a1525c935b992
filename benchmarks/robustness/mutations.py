"""Changes to an ONNX file that no exporter makes: of its messages, of its meaning, of its bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import Message
from onnx import TensorProto, helper, numpy_helper

Mutation = Callable[[onnx.ModelProto, Random, Path], str | None]
"""Changes a model in place, and may write files beside it; says what it did, None for nothing."""

_INTEGERS = (0, 1, -1, 2, 7, 8, 16, 127, 255, 1000, 65536, 1 << 31, (1 << 31) - 1, -(1 << 31))
_HUGE = (1 << 62, (1 << 63) - 1, -(1 << 63), 10**12, 1 << 40)
_WORDS = ("", "x", "y", "a", "w1", "\x1b[31mred\x1b[0m", "a\u202eb", "../../etc", "é" * 300, "\x00")
_FLOATS = (0.0, -1.0, 1e38, 1e-45, float("nan"), float("inf"), -float("inf"))
_TYPES = (*range(24), 99, -1)


def messages(root: Message) -> list[Message]:
    """A message and all that it holds."""
    found = [root]
    for field, value in root.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for one in value if field.is_repeated else (value,):
                found += messages(one)
    return found


def field_mutation(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Drops, doubles, moves or changes one field somewhere."""
    message = random.choice(messages(model))
    fields = message.ListFields()
    if not fields:
        return None
    field, value = random.choice(fields)
    name = f"{message.DESCRIPTOR.name}.{field.name}"
    if field.is_repeated:
        return _change_list(message, field.name, value, random) and f"{name}: another list"
    how = random.choice(("drop", "change"))
    if how == "drop" or field.type == field.TYPE_MESSAGE:
        message.ClearField(field.name)
        return f"{name} dropped"
    fresh = another(value, random, names_of(model))
    try:
        setattr(message, field.name, fresh)
    except (ValueError, TypeError):
        return None
    return f"{name} = {str(fresh)[:30]!r}"


def _change_list(message: Message, name: str, values: Any, random: Random) -> bool:
    how = random.choice(("delete", "double", "swap", "change", "empty"))
    index = random.randrange(len(values))
    if how == "empty":
        message.ClearField(name)
    elif how == "delete":
        del values[index]
    elif how == "double":
        copies = [*values, values[index]]
        message.ClearField(name)
        getattr(message, name).extend(copies)
    elif how == "swap":
        copies = random.sample([_copied(one) for one in values], len(values))
        message.ClearField(name)
        getattr(message, name).extend(copies)
    else:
        if isinstance(values[index], Message):
            return False
        try:
            values[index] = another(values[index], random, ())
        except (ValueError, TypeError):
            return False
    return True


def _copied(value: Any) -> Any:
    if not isinstance(value, Message):
        return value
    fresh = type(value)()
    fresh.CopyFrom(value)
    return fresh


def another(value: Any, random: Random, names: Any) -> Any:
    """Another value of the same Python type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return random.choice((*_INTEGERS, *_HUGE, value + 1, value - 1, random.choice(_TYPES)))
    if isinstance(value, float):
        return random.choice(_FLOATS)
    if isinstance(value, bytes):
        cut = random.randrange(len(value) + 1)
        return random.choice((value[:cut], value + value, b"", random.randbytes(len(value))))
    return random.choice((*_WORDS, *names) or ("",))


def names_of(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of values."""
    return tuple(
        dict.fromkeys(name for node in nodes_of(model) for name in (*node.input, *node.output))
    )


def nodes_of(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Nodes of all graphs and functions."""
    return [one for one in messages(model) if isinstance(one, onnx.NodeProto)]


def tensors_of(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    """Tensors of all graphs."""
    return [one for one in messages(model) if isinstance(one, onnx.TensorProto)]


def cycle(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Lets a node read what a later one makes."""
    nodes = [one for one in model.graph.node if one.input]
    if not nodes:
        return None
    node, later = random.choice(nodes), random.choice(model.graph.node)
    if not later.output:
        return None
    node.input[random.randrange(len(node.input))] = later.output[0]
    return f"{node.op_type} reads what {later.op_type} makes"


def rewire(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Gives an input or output of a node another name."""
    node = random.choice(nodes_of(model) or [onnx.NodeProto()])
    side = random.choice((node.input, node.output))
    if not side:
        return None
    place = random.randrange(len(side))
    side[place] = random.choice((*names_of(model), "nothing", ""))
    return f"{node.op_type} is wired to {side[place]!r}"


def missing_weight(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Takes an initializer out."""
    if not model.graph.initializer:
        return None
    place = random.randrange(len(model.graph.initializer))
    name = model.graph.initializer[place].name
    del model.graph.initializer[place]
    return f"initializer {name} is missing"


def wrong_weight(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Gives a weight another type, rank or amount of data."""
    tensors = tensors_of(model)
    if not tensors:
        return None
    tensor = random.choice(tensors)
    how = random.choice(("type", "rank", "huge", "zero", "data", "negative", "lists"))
    if how == "type":
        tensor.data_type = random.choice(_TYPES)
    elif how == "rank":
        tensor.dims.append(random.choice((1, 2, 3)))
    elif how == "huge" and tensor.dims:
        tensor.dims[random.randrange(len(tensor.dims))] = random.choice((*_HUGE, 1 << 31, 1 << 20))
    elif how == "zero" and tensor.dims:
        tensor.dims[random.randrange(len(tensor.dims))] = 0
    elif how == "negative" and tensor.dims:
        tensor.dims[random.randrange(len(tensor.dims))] = random.choice((-1, -5))
    elif how == "data":
        tensor.raw_data = another(tensor.raw_data, random, ())
    else:
        tensor.ClearField("raw_data")
        tensor.float_data.extend([1.0] * random.choice((0, 1, 5)))
    return f"weight {tensor.name}: {how}"


def wrong_parameter(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Puts other numbers into a small constant: shapes, axes, scales, zero points, rounds."""
    small = [one for one in tensors_of(model) if np.prod(one.dims, dtype=float) <= 8]
    if not small:
        return None
    tensor = random.choice(small)
    try:
        array = numpy_helper.to_array(tensor).copy()
    except Exception:
        return None
    if not array.size or array.dtype.kind not in "fiu":
        return None
    fresh: Any = random.choice((*_INTEGERS, *_HUGE) if array.dtype.kind != "f" else _FLOATS)
    if array.dtype.kind != "f":
        limits = np.iinfo(array.dtype)
        fresh = max(limits.min, min(limits.max, fresh))
    array.flat[random.randrange(array.size)] = fresh
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return f"constant {tensor.name} holds {fresh}"


def wrong_attribute(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Changes, drops or invents an attribute."""
    nodes = nodes_of(model)
    if not nodes:
        return None
    node = random.choice(nodes)
    how = random.choice(("drop", "add", "type", "value", "value", "list"))
    if how == "add" or not node.attribute:
        name = random.choice(("axis", "axes", "group", "pads", "strides", "perm", "to", "invented"))
        node.attribute.append(
            helper.make_attribute(name, random.choice((-7, 0, 99, 1 << 40, [0], [9, 9], 1.5, "s")))
        )
        return f"{node.op_type} has {name}"
    place = random.randrange(len(node.attribute))
    attribute = node.attribute[place]
    if how == "drop":
        del node.attribute[place]
    elif how == "type":
        attribute.type = random.choice(range(15))
    elif attribute.ints:
        numbers = list(attribute.ints)
        numbers[random.randrange(len(numbers))] = random.choice((*_INTEGERS, *_HUGE))
        del attribute.ints[:]
        attribute.ints.extend(numbers if how == "value" else numbers * 2)
    else:
        attribute.i = random.choice((*_INTEGERS, *_HUGE))
        attribute.f = random.choice(_FLOATS)
        attribute.s = random.choice((b"", b"\xff\xfe", b"same", b"linear"))
    return f"{node.op_type}.{attribute.name}: {how}"


def wrong_operator(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Calls a node by another operator's name, domain or inputs."""
    nodes = nodes_of(model)
    if not nodes:
        return None
    node = random.choice(nodes)
    how = random.choice(("operator", "operator", "domain", "fewer", "more", "none"))
    before = node.op_type
    if how == "operator":
        names = [one.name for one in onnx.defs.get_all_schemas() if one.domain == ""]
        node.op_type = random.choice([*sorted(set(names)), "Nothing", "", "block", "\x1b[2J"])
    elif how == "domain":
        node.domain = random.choice(("com.microsoft", "own", "none.such", "ai.onnx.ml"))
    elif how == "fewer" and node.input:
        del node.input[random.randrange(len(node.input)) :]
    elif how == "more":
        node.input.extend(random.choice((*names_of(model), "")) for _ in range(3))
    else:
        del node.output[:]
    return f"{before}: {how} {node.op_type!r}"


def wrong_boundary(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Changes what goes in or comes out: names, types, shapes."""
    side = random.choice((model.graph.input, model.graph.output))
    if not side:
        return None
    value = random.choice(side)
    kind = value.type.tensor_type
    how = random.choice(("type", "dim", "rank", "name", "sequence", "none", "double"))
    if how == "type":
        kind.elem_type = random.choice([one for one in _TYPES if one >= 0])
    elif how == "dim" and kind.shape.dim:
        random.choice(kind.shape.dim).dim_value = random.choice((*_INTEGERS, *_HUGE))
    elif how == "rank":
        kind.shape.dim.add(dim_value=random.choice((1, 4, 0)))
    elif how == "name":
        value.name = random.choice((*_WORDS, *names_of(model)))
    elif how == "sequence":
        value.type.sequence_type.elem_type.tensor_type.elem_type = 1
    elif how == "none":
        value.ClearField("type")
    else:
        side.append(value)
    return f"boundary: {how} {value.name!r}"


def wrong_opset(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Declares other versions."""
    how = random.choice(("none", "old", "new", "twice", "own", "ir"))
    if how == "none":
        del model.opset_import[:]
    elif how == "twice":
        model.opset_import.append(helper.make_opsetid("", random.choice((7, 11, 21))))
    elif how == "own":
        model.opset_import.append(helper.make_opsetid("ai.onnx.ml", random.choice((0, 3, 99))))
    elif how == "ir":
        model.ir_version = random.choice((0, 1, 3, 99, 1 << 40))
    elif model.opset_import:
        model.opset_import[0].version = random.choice((0, 1, 6, 7, 8) if how == "old" else (24, 99))
    return f"opset: {how}"


def shuffled(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Puts nodes in another order, which is no fault."""
    nodes = [_copied(one) for one in model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(random.sample(nodes, len(nodes)))
    return "nodes in another order"


def same_names(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Gives several things one name."""
    things = [one for one in messages(model) if getattr(one, "name", "")]
    if len(things) < 2:
        return None
    first, second = random.sample(things, 2)
    second.name = first.name  # type: ignore[attr-defined]
    return f"two things are called {first.name!r}"  # type: ignore[attr-defined]


def sparse_fault(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Breaks a sparse initializer, or adds one."""
    if not model.graph.sparse_initializer:
        values = numpy_helper.from_array(np.ones(2, np.float32), "sparse")
        indices = numpy_helper.from_array(np.array([0, 1], np.int64), "indices")
        model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4]))
    one = model.graph.sparse_initializer[0]
    how = random.choice(("dims", "index", "length", "rank", "type"))
    if how == "dims":
        one.dims[0] = random.choice((*_HUGE, 0, -1, 1))
    elif how == "index":
        wrong = np.array([random.choice((-1, 99, 1 << 62)), 0], np.int64)
        one.indices.CopyFrom(numpy_helper.from_array(wrong, "indices"))
    elif how == "length":
        one.indices.CopyFrom(numpy_helper.from_array(np.arange(5), "indices"))
    elif how == "rank":
        one.indices.CopyFrom(numpy_helper.from_array(np.zeros((2, 3), np.int64), "indices"))
    else:
        one.indices.data_type = random.choice((1, 6, 8))
    return f"sparse: {how}"


def external_fault(model: onnx.ModelProto, random: Random, folder: Path) -> str | None:
    """Breaks where weights are said to be, or says it of one."""
    outside = [one for one in tensors_of(model) if one.external_data]
    if not outside:
        outside = list(model.graph.initializer[:1])
        for tensor in outside:
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="weights.bin")
    if not outside:
        return None
    tensor = random.choice(outside)
    key = random.choice(("location", "location", "offset", "length", "missing", "loop", "folder"))
    if key == "missing":
        (folder / "weights.bin").unlink(missing_ok=True)
        return "external data: no file"
    if key in ("loop", "folder"):
        (folder / "weights.bin").unlink(missing_ok=True)
        if key == "loop":
            (folder / "weights.bin").symlink_to("weights.bin")
        else:
            (folder / "weights.bin").mkdir()
        return f"external data: a {key}"
    choices = {
        "location": (
            "",
            ".",
            "/etc/hostname",
            "../x",
            "a\x00b",
            "no.bin",
            "n" * 5000,
            "model.onnx",
        ),
        "offset": ("x", "-8", "1e3", "9" * 40, "4095", "", "²", "0x10"),
        "length": ("x", "-8", "1", "9" * 5000, "0", "99999"),
    }
    fresh = random.choice(choices[key])
    for entry in tensor.external_data:
        if entry.key == key:
            entry.value = fresh
            break
    else:
        tensor.external_data.add(key=key, value=fresh)
    return f"external data: {key} = {fresh[:20]!r}"


def function_fault(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Breaks a function, lets functions call each other, or lets their number of nodes explode."""
    how = random.choice(("itself", "missing", "many", "outputs"))
    if how == "many":
        _tower(model, random.choice((3, 6, 40)), random.choice((2, 3)))
        return "functions that call functions twice"
    if not model.functions:
        return None
    function = random.choice(model.functions)
    if how == "itself":
        for node in function.node:
            node.op_type, node.domain = function.name, function.domain
    elif how == "missing":
        model.functions.remove(function)
    else:
        function.output.append("nothing")
    return f"function: {how}"


def _tower(model: onnx.ModelProto, floors: int, width: int) -> None:
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("tower", 1)]
    for floor in range(floors):
        below = ("Relu", "") if floor == 0 else (f"floor{floor - 1}", "tower")
        nodes = [
            helper.make_node(below[0], [f"v{place}"], [f"v{place + 1}"], domain=below[1])
            for place in range(width)
        ]
        made = helper.make_function("tower", f"floor{floor}", ["v0"], [f"v{width}"], nodes, imports)
        model.functions.append(made)
    model.opset_import.append(helper.make_opsetid("tower", 1))
    if model.graph.input:
        name = model.graph.input[0].name
        node = helper.make_node(f"floor{floors - 1}", [name], ["top"], domain="tower")
        model.graph.node.append(node)
        model.graph.output.append(helper.make_tensor_value_info("top", 1, None))


def huge_constant(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Adds nodes that make much of little."""
    how = random.choice(("ConstantOfShape", "Range", "Tile", "Expand", "Loop", "OneHot", "Pad"))
    size = random.choice((1000, 1 << 24, 1 << 31, 10**11, 10**15))

    def constant(name: str, values: Any, kind: Any = np.int64) -> None:
        array = np.asarray(values, kind)
        model.graph.initializer.append(numpy_helper.from_array(array, name))

    constant("many", [size])
    constant("count", size)
    constant("zero", 0)
    constant("one", 1)
    constant("ones", [1.0], np.float32)
    constant("pads", [0, size])
    constant("pair", [0.0, 1.0], np.float32)
    inputs = {
        "ConstantOfShape": ["many"],
        "Range": ["zero", "count", "one"],
        "Tile": ["ones", "many"],
        "Expand": ["ones", "many"],
        "OneHot": ["many", "count", "pair"],
        "Pad": ["ones", "pads"],
    }
    if how == "Loop":
        _loop(model)
    else:
        model.graph.node.append(helper.make_node(how, inputs[how], ["big"]))
    model.graph.node.append(helper.make_node("Cast", ["big"], ["bigger"], to=1))
    model.graph.output.append(helper.make_tensor_value_info("bigger", 1, None))
    return f"{how} of {size}"


def _loop(model: onnx.ModelProto) -> None:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["c"], ["d"]),
            helper.make_node("Add", ["u", "u"], ["v"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("u", 1, [1]),
        ],
        [
            helper.make_tensor_value_info("d", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", 1, [1]),
        ],
    )
    model.graph.node.append(helper.make_node("Loop", ["count", "", "ones"], ["big"], body=body))


def nested(model: onnx.ModelProto, random: Random, _: Path) -> str | None:
    """Puts graphs into graphs."""
    graph = helper.make_graph(
        [helper.make_node("Identity", [next(iter(names_of(model)), "x")], ["deep"])],
        "deep",
        [],
        [helper.make_tensor_value_info("deep", 1, None)],
    )
    depth = random.choice((2, 10, 25))
    for level in range(depth):
        outer = f"deep{level}"
        node = helper.make_node(
            "If", ["condition"], [outer], then_branch=graph, else_branch=onnx.GraphProto()
        )
        node.attribute[1].g.CopyFrom(graph) if depth == 2 else None
        graph = helper.make_graph(
            [node], outer, [], [helper.make_tensor_value_info(outer, 1, None)]
        )
    model.graph.node.extend(graph.node)
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "condition"))
    return f"graphs {depth} deep"


STRUCTURED: tuple[Mutation, ...] = (
    *(field_mutation,) * 5,
    *(wrong_weight, wrong_parameter, wrong_attribute, wrong_operator, wrong_boundary) * 2,
    cycle,
    rewire,
    missing_weight,
    wrong_opset,
    shuffled,
    same_names,
    sparse_fault,
    external_fault,
    external_fault,
    function_fault,
    huge_constant,
    nested,
)
"""What is drawn from; what stands there more often is drawn more often."""


def spoil_bytes(data: bytes, random: Random) -> tuple[bytes, str]:
    """Flips bits, cuts, or doubles a part of a file."""
    how = random.choice(("flip", "flip", "cut", "double", "utf8", "insert"))
    if not data:
        return data, "empty"
    place = random.randrange(len(data))
    changed = bytearray(data)
    if how == "flip":
        for _ in range(random.choice((1, 1, 2, 8, 64))):
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    elif how == "cut":
        del changed[place:]
    elif how == "double":
        changed[place:place] = changed[place : place + random.randrange(1, 200)]
    elif how == "utf8":
        letters = [i for i, byte in enumerate(data) if 97 <= byte <= 122] or [0]
        changed[random.choice(letters)] = 0xFF
    else:
        changed[place:place] = random.randbytes(random.randrange(1, 20))
    return bytes(changed), f"bytes: {how}"


def mutated(model: onnx.ModelProto, random: Random, folder: Path) -> tuple[bytes, str]:
    """Breaks a model in one to three ways; returns the file and what was done."""
    done: list[str] = list(_apply(model, random, folder))
    data = model.SerializePartialToString()
    if not done or random.random() < 0.15:
        data, how = spoil_bytes(data, random)
        done.append(how)
    return data, "; ".join(done)


def _apply(model: onnx.ModelProto, random: Random, folder: Path) -> Iterator[str]:
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        try:
            told = random.choice(STRUCTURED)(model, random, folder)
        except Exception:  # what is broken already may not bear another change
            continue
        if told:
            yield told
