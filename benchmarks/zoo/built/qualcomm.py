"""Networks that Qualcomm's own package defines, read without what else that package needs.

Its files hold networks beside their weights, data sets and demos, and import some 40 packages for
those. Here the definitions of a network are read and nothing else: imports of PyTorch and of
Python's own library, constants, functions, and classes without their `from_pretrained`.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import nn

PACKAGE = "qai_hub_models"
KNOWN = {*sys.stdlib_module_names, "torch", "typing_extensions"}
"""Packages that a network may import."""


BASES = ("BaseModel", "SelfieSegmentor")


class BaseModel(nn.Module):
    """Stands for the package's own bases, of which a network needs that it is a module."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()


def _kept(tree: ast.Module, names: Sequence[str]) -> Iterator[ast.stmt]:
    """Of a file, what its networks are made of; all classes and functions where no names are."""
    for statement in tree.body:
        match statement:
            case ast.ImportFrom(module=str(module), level=0) if module.partition(".")[0] in KNOWN:
                yield statement
            case ast.Import(names=[*found]) if all(
                one.name.partition(".")[0] in KNOWN for one in found
            ):
                yield statement
            case ast.Assign(value=ast.Constant() | ast.List() | ast.Tuple()):
                yield statement
            case ast.FunctionDef(name=name) if not names or name in names:
                yield statement
            case ast.ClassDef(name=name, body=body) if not names or name in names:
                statement.body = [one for one in body if not _makes_from_weights(one)] or [
                    ast.Pass()
                ]
                yield statement


def _makes_from_weights(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.FunctionDef) and any(
        isinstance(one, ast.Name) and one.id == "classmethod" for one in statement.decorator_list
    )


def definitions(files: dict[str, list[str]]) -> dict[str, Any]:
    """What files of the package define, one after the other.

    Args:
        files: of the package, with the names that are wanted; all where empty.
    """
    found = importlib.util.find_spec(PACKAGE)
    (root,) = found.submodule_search_locations  # type: ignore[union-attr,misc]
    made: dict[str, Any] = {**dict.fromkeys(BASES, BaseModel), "__name__": PACKAGE}
    for name, wanted in files.items():
        path = Path(root) / name
        tree = ast.parse(path.read_text(), str(path))
        tree.body = list(_kept(tree, wanted))
        exec(compile(tree, str(path), "exec"), made)
    return made


def network(
    files: dict[str, list[str]], name: str, arguments: list[Any] | None = None
) -> nn.Module:
    """The network `name` that files of the package define, see `definitions`."""
    return definitions(files)[name](*arguments or ())


def gear_guard_net() -> nn.Module:
    """The detector of protective equipment, as its `from_pretrained` configures it."""
    folder = "models/gear_guard_net"
    made = definitions(
        {
            "utils/bounding_box_processing.py": ["box_xywh_to_xyxy"],
            "models/templates/yolo/utils.py": ["detect_postprocess", "get_most_likely_score"],
            f"{folder}/layers.py": [],
            f"{folder}/model.py": ["GearGuardNet"],
        }
    )
    block, layer, up = "DoubleBlazeBlock", "FusedConvBatchNorm", [-1, 1, "nn.Upsample"]
    scale = [None, 2, "nearest"]
    backbone = [
        [-1, 1, layer, [64, 6, 2, 2]],
        *([-1, 1, layer, [128, 3, 2]], [-1, 3, block, [128]]),
        *([-1, 1, layer, [256, 3, 2]], [-1, 3, block, [256]]),
        *([-1, 1, layer, [512, 3, 2]], [-1, 9, block, [512]]),
        *([-1, 1, layer, [1024, 3, 2]], [-1, 3, block, [1024]], [-1, 1, layer, [1024, 3, 1]]),
    ]
    head = [
        *([-1, 1, layer, [512, 1, 1]], [*up, scale], [[-1, 6], 1, "Concat", [1]]),
        *([-1, 3, block, [512]], [-1, 1, layer, [256, 1, 1]], [*up, list(scale)]),
        *([[-1, 4], 1, "Concat", [1]], [-1, 3, block, [256]], [-1, 1, layer, [256, 3, 2]]),
        *([[-1, 14], 1, "Concat", [1]], [-1, 3, block, [512]], [-1, 1, layer, [512, 3, 2]]),
        *([[-1, 10], 1, "Concat", [1]], [-1, 3, block, [1024]]),
        [[17, 20, 23], 1, "Detect", ["nc", "anchors"]],
    ]
    anchors = [[1, 2, 3, 4, 5, 6]] * 3
    sizes = {"nc": 2, "depth_multiple": 0.33, "width_multiple": 0.5, "anchors": anchors}
    return made["GearGuardNet"]({**sizes, "backbone": backbone, "head": head})
