"""Head and tail of a manifest: what is not a program of known steps is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from snapq.bundle.host_schema import BundleHost, BundleProgram, constants
from snapq.classical.host import Host
from snapq.classical.program import Program, Step


def step(op: str = "Add", **changes: Any) -> dict[str, Any]:
    one = {"op": op, "inputs": ["x", "x"], "outputs": ["y"], "attributes": {}, "arrays": {}}
    return {**one, **changes}


def program(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"inputs": ["x"], "outputs": ["y"], "steps": list(steps)}


def host(**changes: Any) -> dict[str, Any]:
    whole = {
        "rows": 8,
        "inputs": [{"name": "x", "dtype": "float32", "columns": 4}],
        "outputs": ["y"],
        "head": program(step()),
        "tail": program(step()),
        "arrays": "host.npz",
        "cpu": None,
        "golden": None,
    }
    return {**whole, **changes}


def test_a_program_comes_back_as_it_was_written() -> None:
    one = Program(("x",), ("y",), (Step("Add", ("x", "x"), ("y",), {}, {}),))
    constant = Step("Constant", (), ("c",), {}, {"value": np.arange(3, dtype=np.float32)})
    two = Program(("x",), ("y",), (constant, Step("Mul", ("x", "c"), ("y",))))
    value, arrays = Host(one, two).to_json()
    read = {name: BundleProgram.model_validate(value[name]) for name in ("head", "tail")}
    assert constants(tuple(read.values())) == set(arrays) == {"tail.0.value"}
    plain = {name: entry.model_dump(mode="json") for name, entry in read.items()}
    again = Host.from_json(plain, arrays)
    x = np.array([1, 2, 3], np.float32)
    np.testing.assert_array_equal(again.encode({"x": x})["y"], [2, 4, 6])
    np.testing.assert_array_equal(again.decode({"x": x}, {})["y"], [0, 2, 6])


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([step("os.system")], "is not known to this snapq"),
        ([step(inputs=["z"])], "reads what no step before it makes"),
        ([step(outputs=["x"]), step()], "made twice"),
        ([step(outputs=["z"])], "no step makes an output"),
        ([step(attributes={"axis": {"a": 1}})], "no text, number or list"),
        ([step(attributes={"axis": [[[[1]]]]})], "no text, number or list"),
        ([step(attributes={"axis": "a\x1b[2J"})], "control characters"),
        ([step(arrays={"value": 3})], "string"),
        ([step(run="rm")], "Extra inputs"),
        ([step()] * 20_001, "at most 20000"),
    ],
)
def test_hostile_steps_are_refused(steps: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        BundleProgram.model_validate(program(*steps))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"arrays": "../host.npz"}, "plain path"),
        ({"cpu": "/etc/passwd"}, "plain path"),
        ({"rows": 0}, "greater than 0"),
        ({"outputs": ["z"]}, "does not give the outputs"),
        ({"inputs": []}, "no input of the model"),
        ({"inputs": [{"name": "x", "dtype": "object", "columns": 4}]}, "pattern"),
    ],
)
def test_hostile_hosts_are_refused(changes: dict[str, Any], said: str) -> None:
    BundleHost.model_validate(host())
    with pytest.raises(ValidationError, match=said):
        BundleHost.model_validate(host(**changes))
