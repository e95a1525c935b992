"""A TFLite int8 model of a Keras network, converted to ONNX by tf2onnx.

python export_tflite.py FOLDER conv|transformer|transformer-gelu int8|int8-io|float OUTPUT

The network is as that of the others, in Keras' layout (channels last). `float` writes the float
ONNX model to compare with; `int8-io` has integers as inputs and outputs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tf2onnx
from keras import layers

SHAPE, CLASSES = (32, 32, 3), 10
Activation = str | Callable[[tf.Tensor], tf.Tensor]


def gelu(x: tf.Tensor) -> tf.Tensor:
    """GELU by the hyperbolic tangent."""
    return keras.activations.gelu(x, approximate=True)


def conv_net() -> tf.keras.Model:
    """Convolutions with norms, gates, sums, joins and pools between them."""
    x = given = layers.Input(SHAPE, batch_size=1)
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same")(x)))
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    wide = layers.Activation("hard_silu")(layers.Conv2D(24, 1)(x))
    residual = layers.Conv2D(24, 3, padding="same", activation="relu")(wide)
    wide = layers.MaxPool2D(2)(layers.Add()([wide, residual]))
    left = layers.Conv2D(16, 1, activation="sigmoid")(wide)
    both = layers.Concatenate()([left, layers.Conv2D(16, 3, padding="same")(wide)])
    return tf.keras.Model(given, layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(both)))


def transformer(activation: Activation) -> tf.keras.Model:
    """Patches, attention of two heads, a layer with an activation."""
    given = layers.Input(SHAPE, batch_size=1)
    tokens = layers.Reshape((64, 32))(layers.Conv2D(32, 4, strides=4)(given))
    normed = layers.LayerNormalization()(tokens)
    tokens = layers.Add()([tokens, layers.MultiHeadAttention(2, 16)(normed, normed)])
    wide = layers.Dense(64, activation=activation)(layers.LayerNormalization()(tokens))
    tokens = layers.LayerNormalization()(layers.Add()([tokens, layers.Dense(32)(wide)]))
    pooled = layers.GlobalAveragePooling1D()(tokens)
    return tf.keras.Model(given, layers.Dense(CLASSES)(pooled))


NETWORKS = {
    "conv": conv_net,
    "transformer": lambda: transformer("silu"),
    # By the tanh: of the exact one tf2onnx makes Erfc, which ONNX does not have.
    "transformer-gelu": lambda: transformer(gelu),
}


def network(name: str, folder: Path) -> tf.keras.Model:
    """The network with its weights in `folder`, trained where they are missing."""
    from picture import picture

    tf.keras.utils.set_random_seed(0)
    model = NETWORKS[name]()
    file = folder / f"{name}.weights.h5"
    if file.is_file():
        model.load_weights(file)
        return model
    drawn = [picture(seed + 1000) for seed in range(2048)]
    pictures = np.concatenate([array.transpose(0, 2, 3, 1) for array, _ in drawn])
    batched = tf.keras.models.clone_model(model, input_tensors=layers.Input(SHAPE))
    batched.compile("adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    batched.fit(pictures, np.array([kind for _, kind in drawn]), batch_size=32, epochs=2, verbose=0)
    model.set_weights(batched.get_weights())
    model.save_weights(file)
    return model


def main() -> None:
    """Exports the network."""
    folder, name, scheme, output = sys.argv[1:]
    model = network(name, Path(folder))
    signature = [tf.TensorSpec((1, *SHAPE), tf.float32, name="x")]
    if scheme == "float":
        tf2onnx.convert.from_keras(model, signature, opset=18, output_path=output)
        return
    arrays = np.load(Path(folder) / "calibration.npy").transpose(0, 1, 3, 4, 2)

    def samples() -> Iterator[list[np.ndarray]]:
        for array in arrays:
            yield [array]

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    if scheme == "int8-io":
        converter.inference_input_type = converter.inference_output_type = tf.int8
    file = Path(output).with_suffix(".tflite")
    file.write_bytes(converter.convert())
    tf2onnx.convert.from_tflite(str(file), opset=18, output_path=output)


if __name__ == "__main__":
    main()
