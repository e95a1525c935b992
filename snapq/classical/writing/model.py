"""A program, or a whole model, as an ONNX model for ONNX Runtime on a CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import helper

from snapq.classical.ensemble import Ensemble
from snapq.classical.estimator import Estimator
from snapq.classical.on_cpu import for_cpu
from snapq.classical.program import Program
from snapq.classical.writing.ensembles import write_ensemble
from snapq.classical.writing.writer import (
    IR_VERSION,
    ML_DOMAIN,
    ML_OPSET,
    OPSET,
    Writer,
    write_step,
)
from snapq.version import __version__

Array = NDArray[Any]


def program_to_onnx(program: Program, samples: Mapping[str, Array]) -> onnx.ModelProto:
    """Writes a program as ONNX, for applications without Python.

    Args:
        program: the host's part.
        samples: an array for each input; its type, and its lengths but the first, are those of the
            model's inputs.

    Raises:
        ModelError: no ONNX operators say what a step does.
    """
    writer = Writer()
    writer.keep([*program.inputs, *program.outputs])
    for step in program.steps:
        write_step(writer, step)
    return _model(writer, {name: samples[name] for name in program.inputs}, program.run(samples))


def items_to_onnx(
    items: Sequence[Any], samples: Mapping[str, Array], answers: Mapping[str, Array]
) -> onnx.ModelProto:
    """Writes steps and estimators as ONNX, trees as compact as they get.

    Args:
        items: in the order in which they run.
        samples: an array for each input of the model.
        answers: what the outputs are for them.

    Raises:
        ModelError: no ONNX operators say what a step does.
    """
    writer = Writer()
    writer.keep([*samples, *answers])
    for item in for_cpu(items, answers):
        if not isinstance(item, Estimator):
            write_step(writer, item)
        elif isinstance(item.form, Ensemble):
            write_ensemble(writer, item.form, writer.name(item.rows), writer.name(item.sums))
    return _model(writer, samples, answers)


def _model(
    writer: Writer, samples: Mapping[str, Array], answers: Mapping[str, Array]
) -> onnx.ModelProto:
    made = {name for node in writer.nodes for name in node.output}
    for name in answers:  # an output that is a constant needs a node
        if name not in made and name not in samples:
            constant = writer.constants.pop(name, None)
            source = name
            if constant is not None:
                source = writer.fresh()
                constant.name = source
                writer.constants[source] = constant
            writer.add("Identity", source, outputs=[name])
    graph = helper.make_graph(
        writer.nodes,
        "snapq",
        [_port(name, array) for name, array in samples.items()],
        [_port(name, array) for name, array in answers.items()],
        list(writer.constants.values()),
    )
    opsets = [helper.make_opsetid("", OPSET)]
    if any(node.domain == ML_DOMAIN for node in writer.nodes):
        opsets.append(helper.make_opsetid(ML_DOMAIN, ML_OPSET))
    return helper.make_model(
        graph,
        opset_imports=opsets,
        ir_version=IR_VERSION,
        producer_name="snapq",
        producer_version=__version__,
    )


def _port(name: str, array: Array) -> onnx.ValueInfoProto:
    """The type of an input or output; the number of rows stays open."""
    kind = onnx.TensorProto.STRING
    if array.dtype.kind not in "UO":
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    return helper.make_tensor_value_info(name, kind, [None, *array.shape[1:]])
