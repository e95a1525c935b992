"""The passes for fp16 in the order in which a node meets them, and why each stands where it does.

What a pass adds meets those behind it. To add one, add a file and a line.
"""

from __future__ import annotations

from types import ModuleType

from snapq.graph.float16 import (
    add_constant_first,
    average_bins_by_maps,
    complete_group_norms,
    double_single_channel,
    expand_softplus,
    flatten_deep_products,
    limit_exponents,
    limit_reshaped_rows,
    limit_tanh,
    lower_averages,
    repeat_softmax_factor,
    scale_norms,
    scale_scores,
    separate_reshaped_products,
    shift_exponents,
    split_odd_channels,
    split_small_factors,
    split_strided_batches,
    split_wide_max_pools,
    spread_signals,
    turn_reshaped_layers,
    widen_added_number,
    widen_short_rows,
    widen_strided_depthwise_conv,
)

__all__ = ["BEHIND", "ORDER"]

ORDER: tuple[tuple[ModuleType, str], ...] = (
    (add_constant_first, "looks at Add, as no other does"),
    (limit_exponents, "looks at Exp, as no other does"),
    (expand_softplus, "writes its own Exp with the limits"),
    (shift_exponents, "likewise"),
    (scale_norms, "looks at ReduceL2, as no other does"),
    (limit_tanh, "looks at Tanh, as no other does"),
    (scale_scores, "looks at Sigmoid, as no other does, and writes its own Exp with the limits"),
    (average_bins_by_maps, "before repeat_softmax_factor: a Softmax that is written out is gone"),
    (repeat_softmax_factor, "behind average_bins_by_maps, which looks at Softmax too"),
    (widen_added_number, "looks at Clip and HardSigmoid, as no other does"),
    (lower_averages, "before all that look at Convs: it makes some"),
    (complete_group_norms, "looks at InstanceNormalization, as no other does"),
    (split_odd_channels, "before widen_short_rows, which looks at Convs too"),
    (widen_strided_depthwise_conv, "behind split_odd_channels: the parts are Convs too"),
    (double_single_channel, "behind split_odd_channels, which leaves one channel of 257"),
    (widen_short_rows, "behind split_odd_channels: a Conv that is split is gone"),
    (split_strided_batches, "behind all that change taps: the Convs of single samples stay"),
    (limit_reshaped_rows, "looks at Reshapes behind a Conv"),
    (separate_reshaped_products, "looks at other Reshapes"),
    (split_small_factors, "before flatten_deep_products: a factor that is split is gone"),
    (flatten_deep_products, "behind split_small_factors, which looks at Mul and Div too"),
    (split_wide_max_pools, "looks at MaxPool, as no other does"),
    (turn_reshaped_layers, "looks at Gemm, as no other does"),
)
"""Modules with `OPERATORS` and `apply`, as those of `snapq.graph.passes`."""

BEHIND: tuple[tuple[ModuleType, str], ...] = (
    (spread_signals, "moves activations too, which those above write anew where they must"),
)
"""The same, when all nodes have met the ones above."""
