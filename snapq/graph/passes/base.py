"""What a pass is, what it may answer, and what holds before and after each one.

A pass is a module with three things: a docstring whose first line says what it does and whose
numbered rules are its contract; `OPERATORS`, the operators of the standard domain that it looks at;
and `apply(node, edit)`, which decides about one node and returns early on every case that it leaves
alone; and `KEEPS_SHAPES = False` where it corrects shapes. When it runs, and why then, is said in
`order`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir as ir

from snapq.errors import ModelError
from snapq.graph.edit import Editor
from snapq.graph.shapes import static_shape


@dataclass(frozen=True)
class Skipped:
    """Why a pass left a node alone that it nearly matched: false, as nothing changed.

    Attributes:
        reason: what stands in the way, for the author of the model; it ends without a period.
    """

    reason: str

    def __bool__(self) -> bool:
        return False


Result = ir.Value | bool | Skipped | None
"""What a pass answers of one node.

A value takes the place of the node's first output. True: the pass changed the graph itself. False
or None: the node is none that the pass is for.
"""


@dataclass(frozen=True)
class SkippedNode:
    """A node that a pass nearly matched, and why it left it alone."""

    pass_name: str
    node: str
    reason: str


@dataclass(frozen=True)
class Pass:
    """One pass.

    Attributes:
        name: the name of its module, for `prepare.skip`.
        operators: what it looks at.
        apply: decides about one node.
        keeps_shapes: not where it corrects shapes that inference gets wrong.
    """

    name: str
    operators: tuple[str, ...]
    apply: Callable[[ir.Node, Editor], Result]
    keeps_shapes: bool = True

    def __call__(self, node: ir.Node, edit: Editor) -> bool | Skipped:
        """Applies the pass to one node, in place.

        1. Before: the node is in the graph of `edit`, used, and has the inputs that its operator
           needs; `prepare` sees to that.
        2. After: outputs of the graph keep their names, and every value that took the place of
           another has its type and, where both are known, its shape.

        Raises:
            ModelError: the pass did not keep to 2.
        """
        edit.begin(node)
        edit.replaced.clear()
        place, names = node.name, [value.name for value in edit.graph.outputs]
        result = self.apply(node, edit)
        if isinstance(result, ir.Value):
            edit.replace(node.outputs[0], result)
            result = True
        if result:
            edit.remove_if_dead(node)
            broken = [one for one in edit.replaced if not self._is_alike(*one)]
            if broken or names != [value.name for value in edit.graph.outputs]:
                what = f" {broken[0][1]} for {broken[0][0]}" if broken else "outputs renamed"
                raise ModelError(
                    f"The pass {self.name} did not keep to its contract: {what}.",
                    where=place,
                    hint=f"Leave it out with `prepare: {{skip: [{self.name}]}}`, and report it.",
                )
        return False if result is None else result

    def _is_alike(self, old: ir.Value, new: ir.Value) -> bool:
        shapes = {static_shape(value) for value in (old, new)} - {None}
        types = {value.dtype for value in (old, new)} - {None}
        return len(types) <= 1 and (len(shapes) <= 1 or not self.keeps_shapes)
