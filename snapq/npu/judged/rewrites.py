"""The rewrites that are tried on a model as it is packaged, for each device by itself.

The portable model stays as it is: what is compiled is an equal form of it. A rewrite is a module
with two functions: `sites(model)` names the nodes that it can be made at, the model's own first and
last included, and `apply(model, names)` gives a copy in which it is made. Encodings stay, so that
numbers do, up to what the NPU's kernels round.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import onnx_ir as ir

from snapq.npu.judged import (
    attention_per_head,
    first_layer,
    join_window_heads,
    map_strips,
    mean_by_product,
    narrow_results,
    points_on_maps,
    resize_by_products,
    split_top_k,
    thin_strides,
    tiled_means,
)

__all__ = ["PLAIN", "REWRITES", "Form", "possible", "rewritten"]

REWRITES: dict[str, ModuleType] = {
    "first_layer": first_layer,
    "narrow_results": narrow_results,
    "resize_by_products": resize_by_products,
    "attention_per_head": attention_per_head,
    "join_window_heads": join_window_heads,
    "points_on_maps": points_on_maps,
    "split_top_k": split_top_k,
    "mean_by_product": mean_by_product,
    "map_strips": map_strips,
    "tiled_means": tiled_means,
}
"""By name, the most promising first; a model has each everywhere or nowhere.

`thin_strides` is one more, which is made at some convolutions and not at others.
"""


@dataclass(frozen=True)
class Form:
    """A form of a model.

    Attributes:
        rewrites: names of what is rewritten, in the order in which it is.
        thinned: strided convolutions that are computed at every place and thinned out.
    """

    rewrites: tuple[str, ...] = ()
    thinned: tuple[str, ...] = ()


PLAIN = Form()


def possible(model: ir.Model) -> tuple[str, ...]:
    """Names of the rewrites that change anything in a model."""
    return tuple(name for name, module in REWRITES.items() if module.sites(model))


def rewritten(model: ir.Model, form: Form) -> ir.Model:
    """A copy of the model in this form; the model itself where that is the same."""
    for name in form.rewrites:
        module = REWRITES[name]
        model = module.apply(model, module.sites(model))
    return thin_strides.thin_out(model, form.thinned) if form.thinned else model
