"""SVMs and linear models for the NPU, and for the CPU as an ordinary float graph.

layers   the constants of both layers, in float64
graph    the part on the NPU
lower    that part, and the host's steps around it
"""

from __future__ import annotations

from snapq.classical.lowering.lower import calibration_rows, lower

__all__ = ["calibration_rows", "lower"]
