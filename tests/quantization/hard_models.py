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
    x = b.feed("tokens", 1, TOKENS, WIDTH)
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
    return b.model(b.add("MatMul", normed, b.normal(WIDTH, 16)))
