"""The one kit to read and change a graph with."""

from snapq.graph.edit.additions import (
    add_constant,
    free_name,
    insert_before_uses,
    new_constant,
    new_node,
    reroute,
)
from snapq.graph.edit.constants import (
    aligned,
    constant,
    constant_ints,
    constant_operand,
    integers,
    number,
    scalar,
)
from snapq.graph.edit.editor import Editor
from snapq.graph.edit.names import Names
from snapq.graph.edit.neighbours import (
    can_rename,
    is_dead,
    is_float,
    is_op,
    producer,
    rank,
    release_outer_values,
    remove_dead_nodes,
    remove_unused_constants,
    same_shape,
    sole_producer,
)
from snapq.graph.edit.nodes import (
    input_at,
    ints_attribute,
    reduced_axes,
)

__all__ = [
    "Editor",
    "Names",
    "add_constant",
    "aligned",
    "can_rename",
    "constant",
    "constant_ints",
    "constant_operand",
    "free_name",
    "input_at",
    "insert_before_uses",
    "integers",
    "ints_attribute",
    "is_dead",
    "is_float",
    "is_op",
    "new_constant",
    "new_node",
    "number",
    "producer",
    "rank",
    "reduced_axes",
    "release_outer_values",
    "remove_dead_nodes",
    "remove_unused_constants",
    "reroute",
    "same_shape",
    "scalar",
    "sole_producer",
]
