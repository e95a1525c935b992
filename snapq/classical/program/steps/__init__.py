"""The functions of the steps, one module a family; importing this fills the table."""

from __future__ import annotations
