"""PyTorch, imported when it is first used: the one place that imports it.

`torch` and `functional` below stand for the modules `torch` and `torch.nn.functional`. The core of
snapq installs and works without them; they come with the extra `train`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from snapq.errors import InstallError

if TYPE_CHECKING:
    import torch
    import torch.nn.functional as functional
    from torch import Tensor

__all__ = ["Tensor", "functional", "torch"]


class _Library:
    """Stands for a module until something of it is used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        try:
            module = importlib.import_module(self._name)
        except ImportError as error:
            raise InstallError(
                f"Training needs PyTorch, which cannot be imported ({error}).",
                hint="Run: pip install torch",
            ) from error
        value = getattr(module, attribute)
        setattr(self, attribute, value)
        return value


if not TYPE_CHECKING:
    torch = _Library("torch")
    functional = _Library("torch.nn.functional")
    Tensor = Any
