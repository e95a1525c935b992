from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapq.classical.model import ClassicalModel
from snapq.classical.rewrite import rewrite_for_cpu
from snapq.cpu import CpuModel
from tests.classical.lowering.drawn import KERNELS, machines


@pytest.mark.parametrize("kernel", KERNELS)
@settings(max_examples=25)
@given(drawn_from=st.data())
def test_the_cpu_form_computes_what_the_operator_does(
    kernel: str, drawn_from: st.DataObject
) -> None:
    drawn = drawn_from.draw(machines(kernel))
    form = rewrite_for_cpu(ClassicalModel.read(drawn.model))
    assert not {"SVMRegressor", "Scaler"} & {node.op_type for node in form.graph.node}
    expected = CpuModel(drawn.model.SerializeToString()).run({"x": drawn.rows})
    found = CpuModel(form.SerializeToString()).run({"x": drawn.rows})
    assert np.abs(found["scores"] - expected["scores"]).max() <= 2e-5 * drawn.size
