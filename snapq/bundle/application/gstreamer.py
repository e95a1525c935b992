"""What a package takes and gives, as text for the GStreamer elements of Qualcomm's IM SDK.

Properties are those of `qtimlvconverter` and of `qtimlvclassification`, `qtimlvdetection` and the
like, as docs.qualcomm.com (80-70018-50) and gst-plugins-qti-oss have them: an element computes
`(channel - mean) * sigma` of pixels, and `(code - q-offset) * q-scale` of outputs of 8 bits. Behind
the inference elements of IM SDK 2, which dequantize themselves, `qtimlpostprocess` takes no
constants.
"""

from __future__ import annotations

from collections.abc import Iterator

from snapq.bundle.schema import BundleImage, BundleInput, BundleOutput, Manifest
from snapq.errors import ConfigError

__all__ = ["gstreamer"]

_DEQUANTIZED = ("uint8", "int8")


def gstreamer(manifest: Manifest) -> str:
    """Lines `property=value`, with comments that name the element.

    Raises:
        ConfigError: an output has codes that the elements cannot read.
    """
    outputs = ", ".join(f"{o.name}: {o.dtype} {list(o.shape)}" for o in manifest.outputs)
    offsets, scales = zip(*(_encoding(item) for item in manifest.outputs), strict=True)
    constants = f"snapq,q-offsets=<{', '.join(offsets)}>,q-scales=<{', '.join(scales)}>;"
    lines = [
        "# Properties of GStreamer elements of Qualcomm's IM SDK, written by snapq.",
        "# qtimlvclassification, qtimlvdetection and the like; qtimlpostprocess needs none.",
        f"# Outputs, in this order: {outputs}",
        f'constants="{constants}"',
        *(line for item in manifest.inputs if item.image for line in _converter(item, item.image)),
    ]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _encoding(item: BundleOutput) -> tuple[str, str]:
    if item.encoding is None:
        return "0.0", "1.0"
    if item.dtype not in _DEQUANTIZED:
        raise ConfigError(
            f"The output '{item.name}' has codes of {item.dtype}, and the elements dequantize "
            "uint8 and int8 alone.",
            hint="Package with `io: {dtype: float}`, so that the outputs are floats.",
        )
    return repr(float(item.encoding.zero_point)), repr(item.encoding.scale)


def _converter(item: BundleInput, image: BundleImage) -> Iterator[str]:
    yield f"# qtimlvconverter, for the input {item.name}: {item.dtype} {list(item.shape)}"
    if item.raw:
        yield "# The package takes pixels as they are: it needs no mean and no sigma."
    elif item.encoding is not None:
        yield "# The package takes quantized values, which the element does not make of pixels."
    else:
        means = ", ".join(repr(value) for value in image.mean)
        sigmas = ", ".join(repr(1 / value) for value in image.std)
        yield f'mean="<{means}>" sigma="<{sigmas}>"'
    if image.color == "bgr":
        yield "subpixel-layout=reverse"
    if image.letterbox is not None:
        place = "centre" if image.align == "center" else "top-left"
        yield f"image-disposition={place}"
    elif image.crop is None:
        yield "image-disposition=stretch"
    else:
        yield "# The model was trained on crops; crop in front of the element, which does not."
