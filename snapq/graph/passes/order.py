"""The one order of the passes, with the reason for each place.

Phases follow one another; each goes on, sweep after sweep over the nodes, until nothing changes.
Within a sweep, passes that look at the same node come as written here. A new pass is its file and
one line here.
"""

from __future__ import annotations

from enum import IntEnum


class Phase(IntEnum):
    """When passes run."""

    SIMPLIFY = 0
    """First: every later pattern has one form to look for, and goes on in all later phases."""
    FUSE = 1
    """Before FOLD, which would hide the decomposed operators by moving their constants."""
    FOLD = 2
    """Before LOWER, which writes what no layer took in with operators of its own."""
    LOWER = 3
    """Last: nothing looks for the operators that are written out here."""


RUNS_WITH = {
    Phase.SIMPLIFY: (Phase.SIMPLIFY,),
    Phase.FUSE: (Phase.SIMPLIFY, Phase.FUSE),
    Phase.FOLD: (Phase.SIMPLIFY, Phase.FOLD),
    Phase.LOWER: (Phase.SIMPLIFY, Phase.FOLD, Phase.LOWER),
}
"""The passes that are active in each phase: fusing ends before folding begins."""

ORDER: dict[Phase, dict[str, str]] = {
    Phase.SIMPLIFY: {
        "lower.unroll_loops": "first: what a body computes is seen by all others",
        "lower.select_branches": "likewise",
        "lower.lower_sum_to_add": "no pattern has a Sum or a Mean of inputs: as Adds they match",
        "lower.lower_einsum": "as MatMuls they match; before canonical_gemm, which looks at those",
        "simplify.canonical_gemm": "every fold asks for `x @ w.T + b`",
        "simplify.resolve_cast_like": "a Cast to a known type may be a no-op",
        "simplify.resolve_auto_pad": "merge_pad and all workarounds read padding in numbers",
        "lower.flatten_gather_nd": "makes Reshapes, which merge_reshapes takes on",
        "simplify.matmul_to_gemm": "behind canonical_gemm, which makes MatMuls of computed weights",
        "simplify.merge_reshapes": "of two that cancel, leaves one that remove_no_ops takes away",
        "simplify.merge_transposes": "likewise",
        "simplify.remove_nan_check_after_softmax": "before FOLD changes the mask that it reads",
        "npu_workarounds.make_constant_indices_positive": "later passes meet no negative axes",
        "npu_workarounds.gather_by_flat_indices": "makes Reshapes and Gathers of all, which go",
        "simplify.remove_unit_reductions": "before FUSE: the mean of one value is no normalization",
        "simplify.remove_expand": "patterns are looked for without the Expands of exporters",
        "simplify.remove_empty_parts": "a Split of which one part is left is gone",
        "simplify.remove_no_ops": "behind all that leaves operators without effect",
        "simplify.remove_sequences": "whatever is taken of a sequence is a tensor from here on",
    },
    Phase.FUSE: {
        "fuse.fuse_gelu": "looks at Erf and Tanh, as no other does",
        "fuse.fuse_hard_sigmoid": "before fuse_relu and fuse_swish, which look at Clips too",
        "fuse.fuse_norm": "before fuse_rms_norm, which looks at ReduceMeans too",
        "fuse.fuse_relu": "behind fuse_hard_sigmoid, which looks at Clips too",
        "fuse.fuse_rms_norm": "behind fuse_norm: a mean that is taken off comes first",
        "fuse.fuse_softmax": "looks at Div and Log, as no other does",
        "fuse.fuse_swish": "behind fuse_hard_sigmoid, whose operator it takes for a gate",
    },
    Phase.FOLD: {
        "simplify.move_constants_before_transposes": "first: brings constants to layers",
        "fold.fold_batch_norm": "into the layer in front, before fold_into_next tries the next",
        "fold.fold_bias": "likewise",
        "fold.fold_channel_order": "before fold_into_next, which then meets the Conv",
        "fold.fold_into_next": "from a Conv or Gemm, which a sweep meets behind what it takes in",
        "fold.fold_scale": "likewise into the layer in front",
        "fold.fold_scale_through_moves": "behind fold_scale, which asks for less",
        "fold.fold_grouped": "behind the other folds, which may leave nothing between two layers",
        "simplify.merge_constants": "behind the folds: of what no layer took, two become one",
        "simplify.merge_pad": "behind fold_into_next: a Pad may come to stand beside the layer",
    },
    Phase.LOWER: {
        "lower.lower_attention_mask": "looks at Attention, as no other does",
        "npu_workarounds.add_negative_numbers": "in LOWER: patterns look for Sub",
        "npu_workarounds.add_before_concat": "in LOWER: fold_bias may take the constant before",
        "npu_workarounds.make_computed_indices_positive": "before reduce_rank: Gathers too",
        "npu_workarounds.truncate_casts": "behind remove_no_ops: Casts that do something",
        "npu_workarounds.divide_for_remainders": "looks at Mod, as no other does",
        "npu_workarounds.fill_strided_dilations": "before all that look for depthwise kernels",
        "npu_workarounds.fill_narrow_groups": "in LOWER: fold_grouped is done with the layers",
        "npu_workarounds.widen_depthwise_conv": "before lower_long_conv1d_to_matmul: Convs",
        "npu_workarounds.compare_one_hot": "looks at OneHot, as no other does",
        "npu_workarounds.widen_padded_conv": "behind merge_pad, which is in FOLD: Convs",
        "npu_workarounds.widen_strided_conv": "behind widen_depthwise_conv, which adds channels",
        "npu_workarounds.widen_strided_tap": "behind widen_padded_conv: Convs of one tap too",
        "npu_workarounds.pad_for_filling": "before split_pad, which looks at Pads",
        "npu_workarounds.split_pad": "before lower_shapes, which looks at Pads too",
        "npu_workarounds.lower_edge_pad": "looks at Pads of another mode than split_pad does",
        "npu_speed.block_strided_depthwise_conv": "behind widen_depthwise_conv: Convs too",
        "npu_workarounds.average_by_conv": "before legalize_pools, which looks at pools too",
        "npu_workarounds.legalize_pools": "in LOWER: merge_pad changes borders first",
        "lower.lower_volumes": "behind legalize_pools; before reduce_rank and lower_linear_resize",
        "npu_workarounds.drop_single_strides": "behind widen_padded_conv, which adds taps",
        "npu_workarounds.legalize_transposed_conv": "before lower_shapes, which takes dilation off",
        "npu_speed.fill_dilations": "behind drop_single_strides, which takes dilation off too",
        "npu_speed.join_scattered_parts": "before lower_scatter, which looks at the same operators",
        "lower.lower_scatter": "before reduce_rank; its GatherND is flattened again",
        "simplify.split_before_concat": "in LOWER: merge_reshapes has made one form of shapes",
        "npu_speed.shuffle_by_conv": "before reduce_rank, which looks at the same operators",
        "lower.reduce_rank": "before what looks at the same operators and keeps their rank",
        "npu_speed.slices_to_space_to_depth": "in LOWER: the folds are done with the Conv behind",
        "npu_speed.reduce_before_flatten": "before drop_unit_axes: ReduceMax too",
        "npu_speed.search_best_one": "before search_long_row_in_steps, which looks at ArgMax",
        "npu_speed.search_long_row_in_steps": "behind reduce_before_flatten: ArgMax too",
        "npu_speed.compose_affine_rows": "before join_narrow_axes: Adds and Muls too",
        "npu_speed.join_narrow_axes": "in LOWER: the folds are done with Adds and Muls",
        "npu_speed.slice_picked_rows": "behind join_narrow_axes, which leaves rows to slice",
        "npu_speed.concat_merged_axes": "behind reduce_rank, which looks at Concats too",
        "npu_speed.attend_few_rows_at_once": "before flatten_gemm_rows, which looks at MatMuls",
        "npu_speed.flatten_maps_channels_last": "in LOWER: merge_transposes has joined what it can",
        "npu_speed.split_map_attention": "before flatten_gemm_rows, which looks at MatMuls",
        "npu_speed.multiply_channels_last": "before flatten_gemm_rows: the rows may be one matrix",
        "npu_speed.reverse_by_product": "before flatten_gemm_rows, which looks at MatMuls",
        "npu_speed.lower_long_conv1d_to_matmul": "behind widen_depthwise_conv",
        "npu_speed.flatten_gemm_rows": "behind reduce_rank, which looks at MatMuls too",
        "npu_workarounds.multiply_one_feature": "behind flatten_gemm_rows, which makes Gemms",
        "npu_workarounds.lower_linear_resize": "looks at linear Resizes, as no other does",
        "npu_workarounds.lower_cubic_resize": "looks at cubic Resizes, as no other does",
        "lower.narrow_gathered_labels": "looks at Gathers that are outputs, as no other does",
        "lower.lower_boolean_equality": "looks at comparisons of truth values, as no other does",
        "lower.lower_activations": "one node each: the order among lower_* is free",
        "lower.lower_functions": "likewise",
        "lower.lower_normalizations": "likewise",
        "lower.lower_patches": "likewise",
        "lower.lower_recurrent": "likewise",
        "lower.lower_reductions": "likewise",
        "lower.lower_reverse_sequence": "likewise",
        "lower.lower_shapes": "likewise",
        "lower.lower_signals": "likewise",
        "simplify.expand_constant_powers": "in LOWER, as fusions look for Pow",
        "npu_workarounds.lower_nearest_resize": "behind lower_shapes, which may find a rounding",
        "npu_speed.gather_channels_last": "behind lower_nearest_resize, which makes Gathers",
        "npu_speed.transpose_channels_last": "in LOWER: merge_transposes has joined what it can",
        "npu_speed.split_deep_transposes": "behind transpose_channels_last, which has better ways",
        "npu_workarounds.turn_in_two_dimensions": "behind transpose_channels_last: Transposes too",
        "npu_workarounds.flatten_normalized_rows": "behind lower_normalizations: that merges axes",
        "npu_workarounds.pad_normalized_rows": "behind flatten_normalized_rows, which keeps rows",
        "npu_workarounds.repeat_shared_rows": "behind fuse_norm, and what merges constants of rows",
        "npu_workarounds.pad_before_lp_pool": "behind resolve_auto_pad, which gives it numbers",
        "npu_workarounds.drop_unit_axes": "before replace_global_pool_with_reduce: pools too",
        "npu_speed.replace_global_pool_with_reduce": "in LOWER: remove_unit_reductions is first",
        "npu_workarounds.pad_gathered_rows": "behind make_computed_indices_positive: Gathers too",
        "npu_workarounds.split_large_reductions": "behind replace_global_pool_with_reduce",
        "npu_speed.split_projections": "behind flatten_gemm_rows, whose Gemms it splits",
        "npu_speed.permute_depth_to_space": "in LOWER: the folds are done with the Conv in front",
        "npu_speed.split_swish": "in LOWER: folds take the factor of a fused Swish first",
        "npu_workarounds.sum_along_last_axis": "behind lower_reductions: plain CumSums are left",
        "lower.unroll_recurrent": "behind lower_recurrent, which drops lengths and turns layouts",
        "npu_workarounds.broadcast_pow_base": "behind expand_constant_powers: a Pow that is left",
    },
}
"""By phase: the passes, as folder and module, and why each has its place."""

JUDGED: dict[str, str] = {
    "fold_into_next": "a float picture that is normalized first may be laid out better for it",
    "fold_grouped": "by the chip and the size of maps, two layers may be the faster ones",
    "fill_dilations": "in fp16 on newer chips, holes in wide layers are the faster ones",
    "permute_depth_to_space": "in front of other layers the order is without effect, or the worse",
    "compose_affine_rows": "centers and sizes of boxes at 16 bits are faster step by step",
    "attend_few_rows_at_once": "by the chip and the numbers of rows, heads are the faster ones",
    "multiply_channels_last": "at 16 bits, products of many rows may be faster as they are",
    "join_narrow_axes": "by the chip, rows are the faster ones, or narrow tensors",
    "split_deep_transposes": "at 8 bits, newer chips may move five dimensions at once faster",
    "join_scattered_parts": "in fp16, few rows that are put among many are the faster ones",
    "merge_constants": "a product takes other time than the quotient that the exporter wrote",
}
"""Passes without which a network may be faster, and why; the prepare stage asks the estimate.

All leave the results alone. Where there is nothing to ask they apply, as on most networks they help
or make no difference.
"""

OLD_NAMES = {
    "add_not_sum": "lower_sum_to_add",
    "attention_mask": "lower_attention_mask",
    "computed_indices": "make_computed_indices_positive",
    "constants_past_transposes": "move_constants_before_transposes",
    "exact_depthwise_conv": "widen_depthwise_conv",
    "exact_padding": "split_pad",
    "exact_pools": "legalize_pools",
    "exact_transposed_conv": "legalize_transposed_conv",
    "explicit_cast": "resolve_cast_like",
    "explicit_padding": "resolve_auto_pad",
    "fewer_dimensions": "reduce_rank",
    "flat_gather": "flatten_gather_nd",
    "frames_as_channels": "lower_long_conv1d_to_matmul",
    "gemm_of_rows": "flatten_gemm_rows",
    "linear_resize": "lower_linear_resize",
    "multiply_not_power": "expand_constant_powers",
    "nearest_resize": "lower_nearest_resize",
    "no_nan_after_softmax": "remove_nan_check_after_softmax",
    "normalize_rows": "flatten_normalized_rows",
    "positive_indices": "make_constant_indices_positive",
    "reduce_not_pool": "replace_global_pool_with_reduce",
    "reduce_nothing": "remove_unit_reductions",
    "sum_along_last": "sum_along_last_axis",
    "whole_base": "broadcast_pow_base",
    "widen_short_depthwise_conv": "widen_depthwise_conv",
}
"""Names that passes had in version 0.1.0; `prepare.skip` still takes them."""
