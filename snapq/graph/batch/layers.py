"""A batch through layers, pools, normalizations, reductions and searches."""

from __future__ import annotations

import onnx_ir as ir

from snapq.graph.batch.place import Batch, Place, Rule, refuse
from snapq.graph.edit import constant_ints, input_at, reduced_axes
from snapq.operators import Family, Trait, having, in_families

_SUMS = "sums over the axis of the samples"
_ALONG = "works along the axis of the samples"


def _first_axis(node: ir.Node, batch: Batch) -> None:
    """Conv, pools and their kin: what lies along the first axis stays apart."""
    place = batch.only(node)
    if place.axis != 0:
        refuse(node, "mixes the axis along which the samples lie")
    batch.give(node, place)


def _matmul(node: ir.Node, batch: Batch) -> None:
    """1. Rows of the left and columns of the right factor pass where the other has no samples.

    2. Axes in front of those are joined as by broadcasting.
    """
    left, right = node.inputs[0], node.inputs[1]
    ranks = batch.rank(left), batch.rank(right)
    if min(ranks) < 2:
        refuse(node, "multiplies vectors")
    rank = max(ranks)
    first, second = batch.place(left), batch.place(right)
    if first is not None and first.axis == ranks[0] - 1:
        refuse(node, _SUMS)
    if second is not None and second.axis == ranks[1] - 2:
        refuse(node, _SUMS)
    if second is None and first is not None and first.axis == ranks[0] - 2:
        return batch.give(node, first.moved(rank - ranks[0]))
    if first is None and second is not None and second.axis == ranks[1] - 1:
        return batch.give(node, second.moved(rank - ranks[1]))
    place = batch.joined(node, (0, 1))
    if place.axis >= rank - 2:
        refuse(node, "multiplies each sample by each")
    return batch.give(node, place)


def _gemm(node: ir.Node, batch: Batch) -> None:
    """Rows of the left factor pass; what is added is repeated where it has rows of its own."""
    place = batch.place(node.inputs[0])
    others = [batch.place(value) for value in node.inputs[1:]]
    if place is None or any(others):
        refuse(node, "takes samples where it takes constants elsewhere")
    if place.axis != node.attributes.get_int("transA", 0):
        refuse(node, _SUMS)
    added = input_at(node, 2)
    rows = Place(0, place.outer)
    if added is not None and batch.rank(added) == 2 and batch.shape(added)[0] > 1:
        batch.repeat(node, 2, rows)
    batch.give(node, rows)


def _einsum(node: ir.Node, batch: Batch) -> None:
    """The letter of the samples stands in the output; operands without samples may lack it."""
    equation = str(node.attributes.get_string("equation", "")).replace(" ", "")
    if "..." in equation or "->" not in equation:
        refuse(node, "has an equation that is not written out")
    left, _, out = equation.partition("->")
    terms = left.split(",")
    places = [batch.place(value) for value in node.inputs]
    letters = {
        (term[place.axis], place.outer)
        for term, place in zip(terms, places, strict=True)
        if place is not None
    }
    if len(letters) != 1:
        refuse(node, "joins samples that lie along different axes")
    letter, outer = letters.pop()
    if letter not in out:
        refuse(node, _SUMS)
    for index, (term, place) in enumerate(zip(terms, places, strict=True)):
        if place is None and letter in term:
            batch.repeat(node, index, Place(term.index(letter), outer))
    batch.give(node, Place(out.index(letter), outer))


def _attention(node: ir.Node, batch: Batch) -> None:
    """Samples lie along the first axis of queries, keys, values and, with 4 axes, of the mask."""
    for index, value in enumerate(node.inputs[:4]):
        place = batch.place(value)
        free = index == 3 and place is None and (value is None or batch.rank(value) < 4)
        if not free and (place is None or place != Place(0)):
            refuse(node, "takes queries, keys, values and masks of samples along the first axis")
    if any(value is not None for value in node.inputs[4:]):
        refuse(node, "keeps keys and values of former calls")
    batch.give(node, Place(0))


def _recurrent(node: ir.Node, batch: Batch) -> None:
    """LSTM, GRU: sequence first; states at the start are repeated."""
    place = batch.place(node.inputs[0])
    if place is None or place.axis != 1 or node.attributes.get_int("layout", 0) != 0:
        refuse(node, "takes samples along the second axis")
    for index, value in enumerate(node.inputs):
        own = batch.place(value)
        if value is None or index == 0:
            continue
        if index in (4, 5, 6):
            where = Place(0 if index == 4 else 1, place.outer)
            if own is None:
                batch.repeat(node, index, where)
            elif own != where:
                refuse(node, "begins with states of samples along the second axis")
        elif own is not None:
            refuse(node, "takes samples where it takes constants elsewhere")
    for number, output in enumerate(node.outputs):
        batch.places[output] = Place(1 if number else 2, place.outer)


def _along(node: ir.Node, batch: Batch) -> None:
    """Softmax and its kin: any axis but the one along which it works."""
    place = batch.only(node)
    axis = node.attributes.get_int("axis", -1) % batch.rank(node.inputs[0])
    if axis == place.axis:
        refuse(node, _ALONG)
    batch.give(node, place)


def _over_last(node: ir.Node, batch: Batch) -> None:
    """LayerNormalization: axes in front of those that are normalized."""
    place = batch.only(node)
    if place.axis >= node.attributes.get_int("axis", -1) % batch.rank(node.inputs[0]):
        refuse(node, "normalizes over the axis of the samples")
    batch.give(node, place)


def _reduce(node: ir.Node, batch: Batch) -> None:
    """Axes that are not reduced; they move to the front where others go."""
    place = batch.only(node)
    axes = reduced_axes(node)
    if axes is None or place.axis in axes:
        refuse(node, _SUMS if node.op_type in ("ReduceSum", "ReduceMean") else _ALONG)
    gone = 0 if node.attributes.get_int("keepdims", 1) else sum(a < place.axis for a in axes)
    batch.give(node, place.moved(-gone))


def _search(node: ir.Node, batch: Batch) -> None:
    """ArgMax, ArgMin: as a reduction over one axis."""
    place = batch.only(node)
    axis = node.attributes.get_int("axis", 0) % batch.rank(node.inputs[0])
    if axis == place.axis:
        refuse(node, _ALONG)
    gone = 0 if node.attributes.get_int("keepdims", 1) else axis < place.axis
    batch.give(node, place.moved(-gone))


def _running_sum(node: ir.Node, batch: Batch) -> None:
    place = batch.only(node)
    axis = constant_ints(node.inputs[1])
    if axis is None or axis[0] % batch.rank(node.inputs[0]) == place.axis:
        refuse(node, _ALONG)
    batch.give(node, place)


_ALONG_AN_AXIS = ("LogSoftmax", "LpNormalization", "Softmax", "TopK")
_FIRST = (
    *in_families(Family.CONV, Family.POOLING),
    *("BatchNormalization", "DepthToSpace", "GroupNormalization", "InstanceNormalization", "LRN"),
    *("STFT", "SpaceToDepth"),
)
_BY_REGION = ("DeformConv", "MaxRoiPool", "MaxUnpool", "RoiAlign")
"""These say by numbers of their own which sample they take, or move inputs of their own."""

RULES = {
    **dict.fromkeys((name for name in _FIRST if name not in _BY_REGION), Rule(_first_axis)),
    **dict.fromkeys(
        (name for name in in_families(Family.REDUCTION) if name.startswith("Reduce")),
        Rule(_reduce),
    ),
    **dict.fromkeys(_ALONG_AN_AXIS, Rule(_along)),
    **dict.fromkeys(
        (
            name
            for name in in_families(Family.NORMALIZATION)
            if name in having(Trait.HAS_AXIS) and name != "LpNormalization"
        ),
        Rule(_over_last),
    ),
    **dict.fromkeys(("LSTM", "GRU"), Rule(_recurrent)),
    **dict.fromkeys(("ArgMax", "ArgMin"), Rule(_search)),
    "MatMul": Rule(_matmul),
    "Gemm": Rule(_gemm),
    "Einsum": Rule(_einsum),
    "Attention": Rule(_attention),
    "CumSum": Rule(_running_sum),
}
