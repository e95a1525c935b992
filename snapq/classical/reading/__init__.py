"""From the nodes of ai.onnx.ml, and the ONNX operators around them, to steps and plain forms.

graph       the nodes that the outputs need, with their attributes as plain values
reader      collects steps and estimators, and computes them on a few rows of zeros
registry    the table of operators
trees/      TreeEnsembleClassifier, TreeEnsembleRegressor, TreeEnsemble
svm         SVMClassifier, SVMRegressor
linear      LinearClassifier, LinearRegressor
features    Scaler, Imputer, Normalizer, …: what prepares features or names what comes out
plain       operators of ONNX
scores      what makes scores and labels of sums
columns     sums of columns as one step
sums        trees that a step adds up as one ensemble
leaves      what is computed of one tree as values of its leaves
products    linear models that are a product and a sum
"""

from __future__ import annotations

from snapq.classical.reading import features, linear, plain, svm
from snapq.classical.reading.columns import merge_columns
from snapq.classical.reading.graph import Graph, Node, Port, read_graph
from snapq.classical.reading.leaves import merge_leaves
from snapq.classical.reading.products import read_product
from snapq.classical.reading.reader import CANNOT_BE_COMPUTED, Reader
from snapq.classical.reading.registry import reader_of
from snapq.classical.reading.sums import merge_sums
from snapq.classical.reading.trees import nodes
from snapq.errors import ModelError
from snapq.graph.classical import DISTANCES

__all__ = ["Port", "features", "linear", "nodes", "plain", "read_graph", "read_items", "svm"]


def _check_rows(reader: Reader, graph: Graph) -> None:
    """Refuses an output that has no answer for each row of the inputs."""
    given = {len(reader.samples[port.name]) for port in graph.inputs}
    for name in reader.outputs if len(given) == 1 else ():
        shape = reader.samples[name].shape
        if not shape or shape[0] not in given:
            raise ModelError(
                f"It is {list(shape)} for {given.pop()} rows of the inputs, and has no answer for "
                "each of them.",
                where=f"output '{name}'",
                hint="skl2onnx writes that of a BaggingClassifier whose estimators give no "
                "probabilities, and of several labels with a ZipMap: give the estimators "
                "probabilities, or convert with `zipmap: False`.",
            )


def read_items(graph: Graph, *, merged: bool = True) -> Reader:
    """Reads all nodes of a graph.

    Args:
        graph: the graph.
        merged: whether steps are merged with each other, and with the trees that they are for.

    Raises:
        ModelError: an operator or a use of it is not covered.
    """
    reader = Reader(graph)
    for node in graph.nodes:
        read = reader_of(node)
        if read is None and node.op in DISTANCES:
            raise node.error(
                "it computes the distances to all rows that the model was trained with; nearest "
                "neighbours, Gaussian processes and other models of such rows are not covered",
                hint="Leave it on the CPU, or train an SVM (RBF kernel) or a forest in its place.",
            )
        if read is None:
            raise node.error(
                "it is not among the operators that are covered in a model of trees, SVMs or "
                "linear models",
                hint="docs/how-to/trees.md lists them; convert the model without this part.",
            )
        try:
            read(reader, node)
        except ModelError:
            raise
        except CANNOT_BE_COMPUTED as error:
            raise _unreadable(node, error) from error
    missing = [name for name in reader.outputs if name not in reader.samples]
    for name in missing:
        if name not in graph.constants:
            raise ModelError("nothing gives this output", where=f"output '{name}'")
        reader.constant(graph.constants[name], name)
    _check_rows(reader, graph)
    read_product(reader)
    if merged:
        reader.items = merge_leaves(reader.items, reader.samples, reader.outputs)
        reader.items = merge_sums(reader.items, reader.outputs)
        reader.items = merge_columns(reader.items, reader.samples, reader.outputs)
    return reader


def _unreadable(node: Node, error: Exception) -> ModelError:
    """What is said of a node that declares what cannot be."""
    said = str(error).split("\n", 1)[0] or type(error).__name__
    return node.error(f"what it declares does not fit together: {said}")
