"""PyTorch's PT2E quantization with the quantizer of a backend, exported to ONNX.

python export_pt2e.py FOLDER NETWORK xnnpack|x86 OUTPUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from network import SHAPE, pictures, trained
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
    X86InductorQuantizer,
    get_default_x86_inductor_quantization_config,
)


def quantizer(kind: str) -> object:
    """The quantizer of a backend with its default configuration."""
    if kind == "x86":
        made = X86InductorQuantizer()
        return made.set_global(get_default_x86_inductor_quantization_config())
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )

    config = get_symmetric_quantization_config(is_per_channel=True)
    return XNNPACKQuantizer().set_global(config)


def main() -> None:
    """Exports the network."""
    folder, name, scheme, output = sys.argv[1:]
    example = (torch.zeros(SHAPE),)
    model = torch.export.export(trained(name, Path(folder)), example).module()
    model = prepare_pt2e(model, quantizer(scheme))
    for picture in pictures(32):
        model(torch.from_numpy(picture))
    model = convert_pt2e(model)
    program = torch.export.export(model, example)
    torch.onnx.export(
        program, (), output, input_names=["x"], output_names=["y"], dynamo=True, external_data=False
    )


if __name__ == "__main__":
    main()
