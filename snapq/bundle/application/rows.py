"""Programs of classical models: rows of a table in, answers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from snapq.bundle.application.identifiers import identifiers
from snapq.bundle.application.sample import Sample
from snapq.bundle.application.templating import render
from snapq.bundle.application.tensors import C_TYPES
from snapq.bundle.host_schema import BundleHost

__all__ = ["rows_programs"]


@dataclass(frozen=True)
class _Rows:
    """An input of the classical model."""

    name: str
    variable: str
    dtype: str
    columns: int

    @property
    def ctype(self) -> str:
        """C type of a column."""
        return C_TYPES[self.dtype]


@dataclass(frozen=True)
class _Taken:
    """An input of the tail: rows, or an output of the package."""

    name: str
    rows: _Rows | None
    output: Sample | None


def rows_programs(
    host: BundleHost,
    inputs: Sequence[Sample],
    outputs: Sequence[Sample],
    loading: Mapping[str, object],
) -> dict[str, str]:
    """The programs by language; those in C++ need head and tail as ONNX.

    Args:
        host: what stands around the package.
        inputs: of the package.
        outputs: of the package.
        loading: provider options, as the templates name them.
    """
    variables = identifiers([f"rows_{item.name}" for item in host.inputs])
    rows = [
        _Rows(item.name, variable, item.dtype, item.columns)
        for item, variable in zip(host.inputs, variables, strict=True)
    ]
    by_name = {item.name: item for item in rows}
    given = {item.name: item for item in outputs}
    values = {
        "host": host,
        "rows": rows,
        "head": [by_name[name] for name in host.head.inputs],
        "tail": [_Taken(n, by_name.get(n), given.get(n)) for n in host.tail.inputs],
        "inputs": inputs,
        "outputs": outputs,
        **loading,
    }
    found = {"python": render("rows.py", **values)}
    if host.head_model is not None and host.tail_model is not None:
        found["cpp"] = render("rows.cpp", **values)
    return found
