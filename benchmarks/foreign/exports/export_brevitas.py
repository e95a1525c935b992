"""Brevitas' QCDQ export, as its examples of post-training quantization configure it.

python export_brevitas.py FOLDER NETWORK TYPES[-asym][-po2][-torchscript] OUTPUT

Such as w4a8-asym: 4-bit weights by channel, zero points; `po2` has powers of two as scales,
`torchscript` is the exporter that writes int32 biases.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from brevitas.export import export_onnx_qcdq
from brevitas.graph.calibrate import calibration_mode
from brevitas.graph.quantize import preprocess_for_quantize
from brevitas_examples.imagenet_classification.ptq.ptq_common import quantize_model
from network import SHAPE, pictures, trained


def main() -> None:
    """Exports the network."""
    folder, name, scheme, output = sys.argv[1:]
    types, *others = scheme.split("-")
    torchscript = "torchscript" in others
    model = trained(name, Path(folder))
    traced = name == "conv"  # of the transformer only the layers are quantized, each by itself
    if traced:
        model = preprocess_for_quantize(model, trace_model=True)
    model = quantize_model(
        model,
        backend="fx" if traced else "layerwise",
        weight_bit_width=int(types[1]),
        act_bit_width=8,
        bias_bit_width=32 if torchscript else None,
        scale_factor_type="po2_scale" if "po2" in others else "float_scale",
        weight_narrow_range=False,
        weight_param_method="stats",
        weight_quant_granularity="per_channel",
        weight_quant_type="sym",
        layerwise_first_last_bit_width=8,
        act_param_method="stats",
        act_quant_percentile=99.99,
        act_quant_type="asym" if "asym" in others else "sym",
        quant_format="int",
    )
    model.eval()
    with torch.no_grad():
        model(torch.from_numpy(pictures(1)[0]))
        with calibration_mode(model):
            for picture in pictures(32):
                model(torch.from_numpy(picture))
    example, names = torch.zeros(SHAPE), {"input_names": ["x"], "output_names": ["y"]}
    with torch.no_grad():
        export_onnx_qcdq(model, example, export_path=output, dynamo=not torchscript, **names)


if __name__ == "__main__":
    main()
