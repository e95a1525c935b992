"""Classical models (ONNX-ML) as files: which they are, and the rows that they take at once."""

from __future__ import annotations

from itertools import pairwise

import onnx_ir as ir

from snapq.errors import ConfigError, ModelError
from snapq.graph.edit import constant
from snapq.graph.shapes import InputShapes, TensorSpec, fix_inputs, input_specs
from snapq.operators import Role, spec_of

__all__ = ["ML_DOMAIN", "classes", "estimators", "fix_rows", "is_classical", "rows_at_once"]

ML_DOMAIN = "ai.onnx.ml"
TREES = "TreeEnsemble"
_CLASSES = ("classlabels_strings", "classlabels_int64s", "classlabels_ints")
DISTANCES = ("CDist", "Scan")
"""How skl2onnx writes the distances between rows and those that a model was trained with."""
ACTIVATIONS = ("Relu", "Sigmoid", "Tanh")
"""What stands between the layers of a multilayer perceptron of scikit-learn."""
_MOST_BETWEEN = 4
"""Nodes between two layers of one."""
_SKL2ONNX = "skl2onnx"
FAMILIES = (TREES, "SVM", "Linear")
"""How the names of operators begin that are trained: trees, support vector machines, products."""


def estimators(model: ir.Model) -> tuple[ir.Node, ...]:
    """The trained nodes of ONNX-ML, in the model's order.

    Without one, the only product of weights counts where nodes of ONNX-ML stand around it, or where
    skl2onnx wrote the model: linear models such as SGD come as MatMul and Add, and multilayer
    perceptrons as a chain of these. So do distances to rows, of nearest neighbours and Gaussian
    processes: a reader refuses them.
    """
    of_ml = [node for node in model.graph if node.domain == ML_DOMAIN]
    trained = tuple(node for node in of_ml if node.op_type.startswith(FAMILIES))
    of_sklearn = model.producer_name == _SKL2ONNX
    if trained or not (of_ml or of_sklearn):
        return trained
    if of_sklearn:
        distances = tuple(node for node in model.graph if node.op_type in DISTANCES)
        if distances:
            return distances
    layers = [node for node in model.graph if Role.WEIGHT in spec_of(node).roles]
    if not layers or not all(map(_is_product, layers)):
        return ()
    chain = len(layers) == 1 or (of_sklearn and _is_chain(layers))
    return tuple(layers) if chain else ()


def _is_chain(layers: list[ir.Node]) -> bool:
    """Whether each product reads the one before, through sums with constants and activations."""
    for before, behind in pairwise(layers):
        value = behind.inputs[0]
        for _ in range(_MOST_BETWEEN):
            node = None if value is None else value.producer()
            if value is None or node is None or node is before:
                break
            if node.op_type not in (*ACTIVATIONS, "Add") or len(value.consumers()) != 1:
                return False
            open_ = [one for one in node.inputs if one is not None and constant(one) is None]
            value = open_[0] if len(open_) == 1 else None
        if value is None or value.producer() is not before:
            return False
    return True


def _is_product(node: ir.Node) -> bool:
    weight = node.inputs[1] if len(node.inputs) > 1 else None
    return node.op_type in ("MatMul", "Gemm") and constant(weight) is not None


def is_classical(model: ir.Model) -> bool:
    """Whether the model is a tree ensemble, SVM or linear model of ONNX-ML."""
    return bool(estimators(model))


def classes(model: ir.Model) -> tuple[int, ...] | tuple[str, ...]:
    """The classes that the model's own output of labels is of, in the order of scores.

    Empty where no classifier gives that output itself: steps behind it may rename its classes.
    """
    for output in model.graph.outputs:
        node = output.producer()
        while node is not None and node.op_type in ("Identity", "Reshape") and node.inputs[0]:
            output, node = node.inputs[0], node.inputs[0].producer()
        if node is None or not node.op_type.endswith("Classifier") or node.outputs[0] is not output:
            continue
        for key in _CLASSES:
            if found := node.attributes.get(key):
                texts = found.type == ir.AttributeType.STRINGS
                labels = found.as_strings() if texts else found.as_ints()
                if len(labels) > 1:
                    return tuple(labels)  # type: ignore[return-value]
    return ()


def fix_rows(model: ir.Model, inputs: InputShapes) -> None:
    """Fixes how many rows the model takes, in place; nothing else of it has a fixed shape.

    Raises:
        ModelError: an input is text, has no fixed shape, or the inputs take different numbers of
            rows.
    """
    _refuse_text(model)
    fix_inputs(model, inputs)
    rows_at_once(input_specs(model))


def _refuse_text(model: ir.Model) -> None:
    for value in model.graph.inputs:
        if value.dtype == ir.DataType.STRING:
            raise ModelError(
                f"Input '{value.name}' is text that the model does more with than to encode it.",
                where=f"model.inputs.{value.name}",
                hint="Text is taken where a OneHotEncoder or OrdinalEncoder reads it. Train and "
                "convert the model without what else reads it, and give it the numbers.",
            )


def rows_at_once(inputs: tuple[TensorSpec, ...]) -> int:
    """N of the inputs `[N, …]`.

    Raises:
        ModelError: an input has no rows, or another number than the others.
    """
    for spec in inputs:
        if len(spec.shape) != 2 or spec.shape[0] != inputs[0].shape[0]:
            raise ModelError(
                f"Input '{spec.name}' of shape {list(spec.shape)} is no table of rows.",
                where=f"model.inputs.{spec.name}",
                hint="Inputs of a classical model are [rows, columns], all with the same number "
                "of rows.",
            )
    return int(inputs[0].shape[0])


def refuse_cut(outputs: tuple[str, ...]) -> None:
    """Raises `ConfigError` where a classical model is to be cut."""
    if outputs:
        raise ConfigError(
            "A tree ensemble, SVM or linear model is divided by itself.",
            where="model.outputs",
            hint="Leave `outputs` out.",
        )
