"""Models that are hard to quantize, or slower when quantized, out of real operators."""

import numpy as np
import onnx_ir as ir

from tests.quantization.odd_models import Builder, scalar

TOKENS, WIDTH, OUTLIER = 32, 64, 5


def _attention(b: Builder, x: str) -> str:
    heads = []
    for perm in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]):
        part = b.add("MatMul", x, b.normal(WIDTH, WIDTH, scale=0.15))
        split = b.add("Reshape", part, np.array([1, TOKENS, 4, WIDTH // 4]))
        heads.append(b.add("Transpose", split, perm=perm))
    scores = b.add("Mul", b.add("MatMul", heads[0], heads[1]), scalar(0.25))
    mixed = b.add("MatMul", b.add("Softmax", scores, axis=-1), heads[2])
    joined = b.add("Transpose", mixed, perm=[0, 2, 1, 3])
    joined = b.add("Reshape", joined, np.array([1, TOKENS, WIDTH]))
    return b.add("MatMul", joined, b.normal(WIDTH, WIDTH, scale=0.15))


def encoder_with_outliers(blocks: int = 2) -> ir.Model:
    """A transformer encoder with one channel that is hundreds of times as large as the others.

    The first feed-forward layer writes it into the residual stream, and every normalization scales
    it down again: what 8 bits make of BERT's like.
    """
    b = Builder()
    return b.model(_encoder(b, b.feed("tokens", 1, TOKENS, WIDTH), blocks))


def convolutions_and_encoder() -> ir.Model:
    """A recognizer: convolutions, which integers make three times as fast, and such an encoder."""
    b = Builder()
    x = b.feed("image", 1, 32, 32, 16)
    for channels, inputs in ((128, 32), (128, 128), (128, 128), (128, 128)):
        weight = b.normal(channels, inputs, 3, 3, scale=0.04)
        x = b.add("Relu", b.add("Conv", x, weight, b.normal(channels, scale=0.1), pads=[1] * 4))
    x = b.add("Conv", x, b.normal(WIDTH, 128, 4, 4, scale=0.05), strides=[4, 4])
    x = b.add("Reshape", x, np.array([1, WIDTH, TOKENS]))
    return b.model(_encoder(b, b.add("Transpose", x, perm=[0, 2, 1]), 1))


def _encoder(b: Builder, x: str, blocks: int) -> str:
    scale = np.ones(WIDTH, np.float32)
    scale[OUTLIER] = 0.02
    for block in range(blocks):
        normed = b.add("LayerNormalization", x, scale, np.zeros(WIDTH, np.float32), axis=-1)
        x = b.add("Add", x, _attention(b, normed))
        normed = b.add("LayerNormalization", x, scale, np.zeros(WIDTH, np.float32), axis=-1)
        hidden = b.add("Gelu", b.add("MatMul", normed, b.normal(WIDTH, 2 * WIDTH, scale=0.15)))
        last = b.normal(2 * WIDTH, WIDTH, scale=0.15)
        if block == 0:
            last[:, OUTLIER] = np.abs(last[:, OUTLIER]) * 60
        x = b.add("Add", x, b.add("MatMul", hidden, last))
    normed = b.add("LayerNormalization", x, scale, np.zeros(WIDTH, np.float32), axis=-1)
    return b.add("MatMul", normed, b.normal(WIDTH, 16))


def backbone_and_small_prelu_head() -> ir.Model:
    """Convolutions that integers make faster, and a head that they make slower at 16 bits.

    PRelu with computed slopes has no 16-bit kernel, and the conversions around it cost more than
    the small convolutions beside it gain.
    """
    b = Builder()
    x = b.feed("image", 1, 32, 28, 28)
    slopes = b.feed("slopes", 32, 1, 1)
    for inputs in (32, 128, 128, 128):
        x = b.add("Relu", b.add("Conv", x, b.normal(128, inputs, 3, 3, scale=0.04), pads=[1] * 4))
    x = b.add("Conv", x, b.normal(32, 128, 1, 1, scale=0.1))
    for _ in range(6):
        x = b.add("PRelu", x, slopes)
        x = b.add("Conv", x, b.normal(32, 32, 1, 1, scale=0.15), b.normal(32))
    return b.model(x)


def small_prelus() -> ir.Model:
    """Small convolutions with PRelu: slower in integers as a whole, at 8 bits too."""
    b = Builder()
    x = b.feed("image", 1, 16, 12, 12)
    for _ in range(4):
        x = b.add("Conv", x, b.normal(16, 16, 3, 3, scale=0.1), b.normal(16), pads=[1] * 4)
        x = b.add("PRelu", x, np.abs(b.normal(16, 1, 1)))
    return b.model(x)


def filters_of_many_taps() -> ir.Model:
    """A layer that the NPU computes quicker at 16 bits than at 8, between two of the usual kind."""
    b = Builder()
    x = b.feed("x", 1, 64, 40, 40)
    for side, scale in ((3, 0.04), (9, 0.015), (3, 0.04)):
        kernel = b.normal(64, 64, side, side, scale=scale)
        x = b.add("Relu", b.add("Conv", x, kernel, pads=[side // 2] * 4))
    return b.model(x)
