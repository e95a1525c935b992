"""The list of networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Network:
    """An entry of networks.yaml.

    Attributes:
        name: of the network here.
        public: the model in Qualcomm's figures; None where it has none.
        component: the part of that model; None where it has one.
        spec: the whole entry, for export.py.
    """

    name: str
    public: str | None
    component: str | None
    spec: dict[str, Any] = field(repr=False)


def networks(names: Sequence[str] = ()) -> list[Network]:
    """The networks of these names, or all, in the order of the list.

    Raises:
        KeyError: there is no network of a name.
    """
    entries = yaml.safe_load((HERE / "networks.yaml").read_text())
    found = {
        entry["name"]: Network(entry["name"], entry.get("public"), entry.get("component"), entry)
        for entry in entries
    }
    return [found[name] for name in names or found]
