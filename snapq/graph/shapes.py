"""Input and output specifications of a model, and the freezing of its dynamic dimensions."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as common

from snapq.errors import ModelError, did_you_mean
from snapq.graph.codes import Codes, codes_of
from snapq.graph.inference import infer_shapes
from snapq.graph.text_inputs import texts_of
from snapq.limits import limits_for

Shape = tuple[int, ...]
"""A shape of which every dimension is known."""


@dataclass(frozen=True)
class TensorSpec:
    """Name, element type and fixed shape of a graph input.

    `missing` says whether a value may be NaN or infinite, as trees take them. `codes` are the
    integers that the model took as given in the place of real numbers; samples may still be these.
    `texts` are what the numbers of an input stand for that took text as given: places in this list.
    """

    name: str
    dtype: np.dtype
    shape: Shape
    missing: bool = False
    codes: Codes | None = None
    texts: tuple[str, ...] | None = None

    def real(self, array: np.ndarray) -> np.ndarray:
        """The real numbers of a sample that is codes; any other as it is."""
        return self.codes.real(array) if self.codes and array.dtype == self.codes.dtype else array


def graph_inputs(model: ir.Model) -> tuple[ir.Value, ...]:
    """The inputs that a caller feeds: IR 3 models list their initializers as inputs too."""
    return tuple(value for value in model.graph.inputs if not value.is_initializer())


def static_shape(value: ir.Value | None) -> Shape | None:
    """The shape of a value where every dimension is known, else None."""
    if value is None or value.shape is None:
        return None
    dims = tuple(value.shape.dims)
    if not all(isinstance(dim, int) and dim >= 0 for dim in dims):  # some write -1 for open ones
        return None
    return tuple(int(dim) for dim in dims)  # type: ignore[arg-type]


def input_specs(model: ir.Model) -> tuple[TensorSpec, ...]:
    """Specifications of the inputs that a caller feeds, in graph order.

    Raises:
        ModelError: an input has dynamic dimensions (named), or is not a tensor of numbers.
    """
    _refuse_dynamic(model)
    return specs_of(graph_inputs(model))


def specs_of(values: Sequence[ir.Value]) -> tuple[TensorSpec, ...]:
    """Specifications of values with fixed shapes. Raises `ModelError` where one is no tensor."""
    return tuple(map(_spec, values))


InputShapes = Mapping[str, Sequence[int] | float]
"""What the user says of inputs by name: the shape, or the number that the input always is."""


def freeze(model: ir.Model, shapes: InputShapes) -> ir.Model:
    """Returns a copy of the model with fixed input shapes and all other shapes inferred anew.

    As `fix_inputs`, with which it shares arguments and errors; then shapes are inferred.
    """
    frozen = model.clone()
    fix_inputs(frozen, shapes)
    infer_shapes(frozen)
    return frozen


def fix_inputs(model: ir.Model, shapes: InputShapes) -> None:
    """Fixes the shapes of the inputs, in place, and drops all others.

    1. A shape in `shapes` replaces the declared one, even a static one: exporters write false
       ones (CenterFace declares 10x3x32x32 and is fully convolutional).
    2. Another dynamic dimension takes the size that `shapes` gives to its name: where input `x`
       of `[batch, 3]` is given as `[1, 3]`, `batch` is 1 in all other inputs.
    3. An input that is given a number in place of a shape, such as the sample rate that an audio
       model asks for, becomes a constant. One number in a list does the same for an input
       without dimensions, which has no shape to give.
    4. Declared shapes of outputs and intermediate values are dropped.
    5. Initializers that are listed as inputs too (IR 3) leave that list.

    Args:
        model: the model.
        shapes: shape or number by input name.

    Raises:
        ModelError: a name in `shapes` is no input, the rank differs, a dimension stays dynamic, or
            an input that is given a number has more than one element.
    """
    common.RemoveInitializersFromInputsPass()(model)
    inputs = {str(value.name): value for value in graph_inputs(model)}
    symbols: dict[str, set[int]] = {}
    for name, dims in shapes.items():
        if name not in inputs:
            raise _unknown_input(name, inputs)
        value = inputs[name]
        if not isinstance(dims, Sequence):
            _become_number(model, inputs.pop(name), dims)
            continue
        if len(dims) == 1 and value.shape is not None and len(value.shape) == 0:
            _become_number(model, inputs.pop(name), dims[0])
            continue
        if value.shape is not None and len(value.shape) != len(dims):
            raise ModelError(
                f"The model's input '{name}' has {len(value.shape)} dimensions "
                f"{format_shape(value.shape)}, and {len(dims)} are given: {list(dims)}.",
                where=f"model.inputs.{name}",
                hint=f"Give {len(value.shape)} dimensions.",
            )
        if any(int(dim) <= 0 for dim in dims):
            raise ModelError(
                f"The shape {list(dims)} has a dimension that is not positive.",
                where=f"model.inputs.{name}",
                hint="Give the size that the input has on the device.",
            )
        for declared, dim in zip(value.shape or (), dims, strict=False):
            if isinstance(declared, ir.SymbolicDim) and declared.value:
                symbols.setdefault(str(declared.value), set()).add(int(dim))
        value.shape = ir.Shape([int(dim) for dim in dims])
    agreed = {symbol: sizes.pop() for symbol, sizes in symbols.items() if len(sizes) == 1}
    for value in inputs.values():
        if value.shape is not None:
            value.shape = ir.Shape(
                dim if isinstance(dim, int) else agreed.get(str(dim.value), dim)
                for dim in value.shape
            )
    _refuse_dynamic(model)
    forget_shapes(model)


def forget_shapes(model: ir.Model) -> None:
    """Drops every shape that is not an input's or an initializer's: they may be stale."""
    for graph in model.graphs():
        for node in graph:
            for output in node.outputs:
                output.shape = None


def format_shape(shape: ir.Shape | None) -> str:
    """A shape as one writes it: `[1, batch, ?]`."""
    if shape is None:
        return "[unknown rank]"
    dims = (str(dim) if isinstance(dim, int) else str(dim.value or "?") for dim in shape)
    return f"[{', '.join(dims)}]"


@contextmanager
def quiet(logger: str) -> Iterator[None]:
    """Silences a library's warnings: what it could not do is found and reported by us."""
    target = logging.getLogger(logger)
    level = target.level
    target.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        target.setLevel(level)


def _become_number(model: ir.Model, value: ir.Value, number: float) -> None:
    """Makes an input of one element a constant."""
    dims = value.shape.dims if value.shape is not None else ()
    if value.dtype is None or any(isinstance(dim, int) and dim > 1 for dim in dims):
        raise ModelError(
            f"The input '{value.name}' {format_shape(value.shape)} is not one number.",
            where=f"model.inputs.{value.name}",
            hint="Give its shape as a list; only inputs of one element can be fixed to a number.",
        )
    array = np.full([1] * len(dims), number).astype(value.dtype.numpy())
    model.graph.inputs.remove(value)
    value.shape = ir.Shape(array.shape)
    value.const_value = ir.tensor(array, name=value.name)
    model.graph.register_initializer(value)


def _is_dynamic(dim: int | ir.SymbolicDim) -> bool:
    """Exporters write an unknown size as a name, as -1 or as 0."""
    return not isinstance(dim, int) or dim <= 0


def _refuse_dynamic(model: ir.Model) -> None:
    open_inputs = [
        value
        for value in graph_inputs(model)
        if isinstance(value.type, ir.TensorType)
        and (value.shape is None or any(map(_is_dynamic, value.shape)))
    ]
    if not open_inputs:
        return
    named = "; ".join(f"input '{value.name}' {_name_dynamic(value)}" for value in open_inputs)
    shapes = {str(value.name): _asked_shape(value.shape) for value in open_inputs}
    yaml = ", ".join(f"{name}: [{', '.join(dims)}]" for name, dims in shapes.items())
    options = " ".join(f"--input {name}={','.join(dims)}" for name, dims in shapes.items())
    unknown = any("?" in dims for dims in shapes.values())
    raise ModelError(
        f"The NPU needs fixed shapes, and dimensions are dynamic: {named}.",
        where="model.inputs",
        hint=f"Write `inputs: {{{yaml}}}` under `model:`"
        f"{', with a number for each `?`,' if unknown else ','} "
        f"or give {options} where there is no deploy.yaml.",
    )


def _name_dynamic(value: ir.Value) -> str:
    if value.shape is None:
        return "has no declared rank"
    dims = [
        f"dimension {axis} ('{dim.value}')"
        if isinstance(dim, ir.SymbolicDim) and dim.value
        else f"dimension {axis}"
        for axis, dim in enumerate(value.shape)
        if _is_dynamic(dim)
    ]
    return f"{format_shape(value.shape)}, {', '.join(dims)}"


def _asked_shape(shape: ir.Shape | None) -> list[str]:
    """What a user is to write: 1 for a batch that is open, `?` for what nobody can guess."""
    if shape is None:
        return ["?"]
    sizes = ["?" if _is_dynamic(dim) else str(dim) for dim in shape]
    return ["1", *sizes[1:]] if sizes[:1] == ["?"] and len(sizes) > 1 else sizes


def _unknown_input(name: str, inputs: Mapping[str, ir.Value]) -> ModelError:
    listed = ", ".join(f"{key} {format_shape(value.shape)}" for key, value in inputs.items())
    return ModelError(
        f"The model has no input '{name}'. Its inputs: {listed or 'none'}.",
        where=f"model.inputs.{name}",
        hint=did_you_mean(name, inputs, "Use one of these names."),
    )


def _spec(value: ir.Value) -> TensorSpec:
    name = str(value.name)
    if not isinstance(value.type, ir.TensorType) or value.dtype in (
        ir.DataType.STRING,
        ir.DataType.UNDEFINED,
    ):
        raise ModelError(
            f"'{name}' is of type {value.type}; only tensors of numbers run on the NPU.",
            where=name,
            hint="Cut this part out of the model.",
        )
    shape = static_shape(value)
    assert shape is not None, "dynamic inputs are refused before"
    size = prod(shape) * value.type.dtype.bitwidth // 8
    limits = limits_for()
    if size > limits.memory:
        raise ModelError(
            f"One sample of the input is {size / 1e9:.3g} GB: {format_shape(value.shape)}.",
            where=name,
            hint=limits.memory_hint,
        )
    dtype = np.dtype(value.type.dtype.numpy())
    return TensorSpec(name, dtype, shape, codes=codes_of(value), texts=texts_of(value))
