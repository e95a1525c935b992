"""An ONNX graph as a PyTorch module: the same nodes, run one after another.

The module computes what the graph computes, for the shapes that the graph has; a batch of samples
goes through `batched`, which maps one sample's computation over all of them. What can be trained
are the constants in the places of weights (`Operator.weights`). `write_back` puts trained values
into a copy of the graph, under the same names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from snapq.errors import ModelError
from snapq.graph.edit import input_at
from snapq.operators import Trait, spec
from snapq.training.encodings import LearnedEncodings
from snapq.training.library import Tensor, torch
from snapq.training.operators import OPERATORS, Attributes, Operator, Unsupported

__all__ = ["GraphModule", "unsupported_nodes"]

_ONNX_DOMAINS = ("", "ai.onnx")
_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")


@dataclass(frozen=True)
class _Step:
    """One node, ready to run."""

    node: ir.Node
    operator: Operator | None
    attributes: Attributes
    inputs: tuple[str | None, ...]
    outputs: tuple[str, ...]
    dead: tuple[str, ...]
    """Values that no later node reads."""


def unsupported_nodes(model: ir.Model) -> list[str]:
    """One sentence for each node that training cannot run, naming node and operator."""
    found = []
    for node in model.graph:
        known = node.op_type in _QUANTIZERS or node.op_type in OPERATORS
        if not known or node.domain not in _ONNX_DOMAINS:
            found.append(f"Training cannot run node '{node.name}' ({node.op_type}).")
            continue
        operator = OPERATORS.get(node.op_type)
        for index in operator.static if operator else ():
            value = input_at(node, index)
            if value is not None and _constant(value) is None:
                found.append(
                    f"Training cannot run node '{node.name}' ({node.op_type}): its input "
                    f"{index} is computed, and has to be a constant."
                )
    return found


class GraphModule(torch.nn.Module):  # type: ignore[misc, unused-ignore]
    """Runs an ONNX graph.

    Args:
        model: a float model, or one with QuantizeLinear and DequantizeLinear nodes, of fixed
            shapes, as the prepare and quantize stages leave it.
        latent: float values of the constants that the Q/DQ graph stores as integers, by float name:
            training starts from them where they are what was rounded.

    Raises:
        ModelError: training cannot run an operator; node and operator are named.
    """

    def __init__(self, model: ir.Model, latent: Mapping[str, np.ndarray] | None = None) -> None:
        super().__init__()
        refused = unsupported_nodes(model)
        if refused:
            more = f" So are {len(refused) - 1} others." if len(refused) > 1 else ""
            raise ModelError(
                refused[0] + more,
                hint="Leave the finetune stage out, or cut this part out of the model.",
            )
        self.model = model
        self.input_names = tuple(str(value.name) for value in model.graph.inputs)
        self.output_names = tuple(str(value.name) for value in model.graph.outputs)
        self.weight_names = tuple(_weights(model))
        self._weight_index = {name: index for index, name in enumerate(self.weight_names)}
        self.weights = torch.nn.ParameterList(
            torch.nn.Parameter(torch.from_numpy(_array(model, name).copy()))
            for name in self.weight_names
        )
        self.encodings = LearnedEncodings(model, latent or {})
        self._statics: dict[str, np.ndarray] = {}
        self._constants: list[str] = []
        for name, value in model.graph.initializers.items():
            if name in self._weight_index or self.encodings.holds(name):
                continue
            array = _array(model, name)
            self._statics[name] = array
            if value.dtype is not None and value.dtype.is_floating_point():
                array = array.astype(np.float32)
            if array.dtype.kind in "biuf":
                self.register_buffer(f"constant_{len(self._constants)}", _tensor(array), False)
                self._constants.append(name)
        self._steps = _steps(model)

    def forward(self, feeds: Mapping[str, Tensor], keep: Collection[str] = ()) -> dict[str, Tensor]:
        """Runs one sample.

        Args:
            feeds: inputs by name, of the graph's own shapes.
            keep: names of further values to give back.

        Returns:
            Outputs and kept values by name.

        Raises:
            ModelError: a node has a form that training cannot run, or fails.
        """
        values: dict[str, Tensor] = dict(feeds)
        for index, name in enumerate(self._constants):
            values[name] = getattr(self, f"constant_{index}")
        values.update(zip(self.weight_names, self.weights, strict=True))
        kept: dict[str, Tensor] = {}
        wanted = {*keep, *self.output_names}
        for step in self._steps:
            results = self._run(step, values)
            for name, result in zip(step.outputs, results, strict=False):
                values[name] = result
                if name in wanted:
                    kept[name] = result
            for name in step.dead:
                values.pop(name, None)
        for name in wanted - kept.keys():
            kept[name] = values[name]
        return kept

    def start_from(self, given: Collection[str], keep: Collection[str] = ()) -> None:
        """From now on these values are fed, and what only they depend on is not run or trained.

        Args:
            given: names of values inside the graph.
            keep: names of further values that will be asked for.
        """
        needed = {*self.output_names, *keep}
        steps: list[_Step] = []
        for step in reversed(self._steps):
            if any(name in needed and name not in given for name in step.outputs):
                steps.append(step)
                needed.update(name for name in step.inputs if name is not None)
        self._steps = steps[::-1]
        for name, weight in zip(self.weight_names, self.weights, strict=True):
            weight.requires_grad_(name in needed)

    def batched(self, feeds: Mapping[str, Tensor], keep: Collection[str] = ()) -> dict[str, Tensor]:
        """Runs many samples: each feed, output and kept value has one more axis in front."""
        run = torch.vmap(lambda sample: self(sample, keep))
        result: dict[str, Tensor] = run(dict(feeds))
        return result

    def write_back(self) -> ir.Model:
        """A copy of the graph with the trained weights and encodings, under the same names."""
        result = self.model.clone()
        for name, weight in zip(self.weight_names, self.weights, strict=True):
            _replace(result, name, weight.detach().cpu().numpy())
        for name, array in self.encodings.trained().items():
            _replace(result, name, array)
        return result

    def _run(self, step: _Step, values: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        node = step.node
        try:
            if step.operator is None:
                source = step.inputs[0]
                value = values.get(source) if source is not None else None
                return (self.encodings.run(node, value),)
            arguments = [
                None
                if name is None
                else self._statics[name]
                if index in step.operator.static
                else values[name]
                for index, name in enumerate(step.inputs)
            ]
            result = step.operator.run(step.attributes, *arguments)
        except Unsupported as error:
            raise ModelError(
                f"Training cannot run node '{node.name}' ({node.op_type}): it is {error}.",
                hint="Leave the finetune stage out, or cut this part out of the model.",
            ) from error
        except (RuntimeError, TypeError, IndexError, KeyError, ValueError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(
                f"Training cannot run node '{node.name}' ({node.op_type}): {reason}"
            ) from error
        return result if isinstance(result, tuple) else (result,)


def _steps(model: ir.Model) -> list[_Step]:
    """The nodes in graph order, each with the values that it reads last."""
    seen: set[str] = {str(value.name) for value in model.graph.outputs}
    steps: list[_Step] = []
    for node in reversed(tuple(model.graph)):
        inputs = tuple(str(v.name) if v is not None else None for v in node.inputs)
        while inputs and inputs[-1] is None:
            inputs = inputs[:-1]
        read = {name for name in inputs if name is not None}
        outputs = tuple(str(value.name) for value in node.outputs)
        dead = tuple(sorted(read - seen)) + tuple(o for o in outputs if o not in seen)
        seen |= read
        steps.append(
            _Step(node, OPERATORS.get(node.op_type), Attributes.of(node), inputs, outputs, dead)
        )
    return steps[::-1]


def _weights(model: ir.Model) -> list[str]:
    """Names of the float constants that can be trained, in graph order."""
    found: dict[str, None] = {}
    fixed: set[str] = set()
    for node in model.graph:
        operator = OPERATORS.get(node.op_type)
        for index, value in enumerate(node.inputs):
            tensor = _constant(value)
            if value is None or tensor is None or tensor.dtype != ir.DataType.FLOAT:
                continue
            name = str(value.name)
            if operator is None or index not in operator.weights or index in operator.static:
                fixed.add(name)
            elif spec(node.op_type).has(Trait.ELEMENTWISE) and tensor.size < 2:
                fixed.add(name)  # a factor of the formula, such as the 0.5 of a written-out Gelu
            elif np.isfinite(tensor.numpy()).all():
                found[name] = None
    return [name for name in found if name not in fixed]


def _constant(value: ir.Value | None) -> ir.TensorProtocol | None:
    """The tensor of an initializer; None for what is fed or computed."""
    return value.const_value if value is not None and value.is_initializer() else None


def _array(model: ir.Model, name: str) -> np.ndarray:
    tensor = model.graph.initializers[name].const_value
    assert tensor is not None
    return np.asarray(tensor.numpy())


def _tensor(array: np.ndarray) -> Tensor:
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.astype(np.int64)
    return torch.from_numpy(np.array(array, order="C"))


def _replace(model: ir.Model, name: str, array: np.ndarray) -> None:
    value = model.graph.initializers[name]
    assert value.dtype is not None
    value.const_value = ir.Tensor(
        np.asarray(array, order="C"), dtype=value.dtype, shape=ir.Shape(array.shape), name=name
    )
