"""The table of operators agrees with ONNX's own schemas and test data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx.backend.test.case.node import collect_testcases

from snapq.operators import TABLE, Encodings, Family, Role, Trait, having, quantized, spec, spec_of

OF_ONNX_RUNTIME = {
    *("FusedMatMul", "GatherBlockQuantized", "GroupQueryAttention", "Inverse", "MatMulNBits"),
    *("MultiHeadAttention", "QuickGelu", "SimplifiedLayerNormalization"),
}
Case = tuple[str, list[np.ndarray], list[np.ndarray]]


def cases(*operators: str) -> Iterator[Case]:
    """Operator, inputs and outputs of ONNX's tests of one standard operator each."""
    for case in collect_testcases(None):
        nodes = case.model.graph.node
        if len(nodes) == 1 and nodes[0].op_type in operators and not nodes[0].domain:
            given, made = case.data_sets[0]
            arrays = [item for item in (*given, *made) if isinstance(item, np.ndarray)]
            if len(arrays) == len(given) + len(made):
                yield nodes[0].op_type, arrays[: len(given)], arrays[len(given) :]


def holding(trait: Trait) -> list[Case]:
    """The cases of all operators with a trait; there are some."""
    found = list(cases(*having(trait)))
    assert len({operator for operator, _, _ in found}) > 3
    return found


def test_each_row_is_an_operator_with_no_more_inputs_than_its_schema_has() -> None:
    schemas = {schema.name: schema for schema in onnx.defs.get_all_schemas()}
    assert set(TABLE) - set(schemas) == OF_ONNX_RUNTIME
    for name, row in TABLE.items():
        if name in schemas:
            assert len(row.roles) <= schemas[name].max_input, name


def test_what_the_npu_lacks_has_a_hint_and_what_is_quantized_runs_there() -> None:
    for name, row in TABLE.items():
        assert row.npu.domains or row.npu.hint, name
    assert {name for name, row in TABLE.items() if row.encodings and not row.npu.domains} == {
        "Asin"  # taken in integers only
    }


def test_a_layer_has_a_weight_and_axes() -> None:
    for name in having(Trait.SUMS_CHANNELS):
        row = spec(name)
        assert Role.WEIGHT in row.roles
        assert row.channel_axis is not None
        assert row.weight_axis is not None


def test_moves_give_elements_of_their_inputs_or_filling() -> None:
    for operator, given, made in holding(Trait.MOVES):
        if all(item.dtype.kind in "fi" for item in (*given, *made)):
            known = np.concatenate([[0], *(item.ravel() for item in given)])
            assert np.isin(made[0], known).all(), operator


def test_reshapes_keep_the_order_of_elements() -> None:
    for operator, given, made in holding(Trait.RESHAPES):
        assert np.array_equal(given[0].ravel(), made[0].ravel()), operator


def test_elementwise_operators_broadcast_to_their_output() -> None:
    for operator, given, made in holding(Trait.ELEMENTWISE):
        if operator not in ("Clip", "Dropout"):  # bounds and ratios are no data
            assert np.broadcast_shapes(*(item.shape for item in given)) == made[0].shape, operator


def test_some_outputs_are_never_negative() -> None:
    for operator, _, made in holding(Trait.NOT_NEGATIVE):
        assert not np.any(made[0] < 0), operator


def test_some_operators_keep_the_sign() -> None:
    for operator, given, made in holding(Trait.KEEPS_SIGN):
        if spec(operator).family is Family.MOVEMENT:
            continue  # their indices and pads may be negative
        data = [item for index, item in enumerate(given) if spec(operator).role(index).quantized]
        if all(item.dtype.kind in "fiu" and item.size and np.all(item >= 0) for item in data):
            assert np.all(made[0] >= 0), operator


def test_commutative_operators_take_their_inputs_in_any_order() -> None:
    for name in having(Trait.COMMUTATIVE):
        assert spec(name).role(0) is spec(name).role(1) is Role.DATA


def test_a_row_is_found_by_name_and_by_node() -> None:
    value = ir.Value(name="x")
    node = ir.node("Relu", [value])
    assert spec("Relu") is spec_of(node) is quantized(node)
    assert spec("Relu").encodings is Encodings.CLAMPED
    foreign = ir.node("Relu", [value], domain="mine")
    assert spec_of(foreign).family is Family.UNKNOWN
    assert quantized(foreign) is None
    assert spec("NoSuchThing").traits == frozenset()


@pytest.mark.parametrize("name", ["Gelu", "QuantizeLinear"])
def test_some_operators_are_taken_from_onnx_runtime_too(name: str) -> None:
    assert spec(name).npu.domains == ("", "com.microsoft")
