"""What the host computes in front of the NPU and behind it, as data that NumPy can run.

NumPy and Python 3.9 are enough: this folder goes to boards and beside `snapq_io.py`, where it is
imported alone. Nothing in it imports the rest of snapq.

step        one step
registry    the table of operations
steps/      what each operation computes, one module a family
program     a list of steps: run, written, read
answers     how near answers are to ONNX Runtime's, and how near they must be
"""

from __future__ import annotations

from .answers import Answers, Limit, limit_of
from .program import Program
from .registry import known_operations, operation
from .step import Array, Step

__all__ = [
    "Answers",
    "Array",
    "Limit",
    "Program",
    "Step",
    "known_operations",
    "limit_of",
    "operation",
]
