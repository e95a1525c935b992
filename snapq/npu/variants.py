"""The ways of compiling one model, of which the fastest by the estimate is taken."""

from __future__ import annotations

from dataclasses import dataclass

from snapq.npu.qnn.options import CompileOptions

__all__ = ["Variants"]


@dataclass(frozen=True)
class Variants:
    """The ways of compiling that are tried.

    Attributes:
        modes: values of `htp_graph_finalization_optimization_mode`: 1 compiles fast, 2 is the
            compiler's default, 3 works longest; the result is not always the fastest.
        vtcm_mb: sizes of on-chip memory to plan with, beside the device's own.
        thin_strides: whether strided depthwise convolutions are tried at stride 1 (`strides`).
    """

    modes: tuple[int, ...] = (3,)
    vtcm_mb: tuple[int, ...] = ()
    thin_strides: bool = False

    def options(self, *, fp16: bool) -> tuple[CompileOptions, ...]:
        """Every set of options; the one that is best without an estimate first.

        Args:
            fp16: compute floating-point nodes in 16 bits.
        """
        return tuple(
            CompileOptions(optimization_mode=mode, vtcm_mb=size, fp16=fp16)
            for mode in sorted(set(self.modes), reverse=True)
            for size in (None, *self.vtcm_mb)
        )
