"""Tests of training need PyTorch, the extra `train`."""

from __future__ import annotations

import importlib.util

import pytest

if importlib.util.find_spec("torch") is None:
    pytest.skip("PyTorch is not installed: pip install snapq[train]", allow_module_level=True)
