"""The bundle: the folder that goes to the board, and how it is checked.

```
manifest.json             what is in it: hashes, inputs and outputs, devices, golden data
model.onnx                the portable model with the package's boundary
tail.onnx                 what the CPU runs behind it, of a model that was cut
encodings.json            encoding of every tensor (quantized models)
devices/DEVICE/           model_ctx.onnx and its binary, compiled for the SoC
golden/inputs/, golden/vNN/   samples, and what Qualcomm's simulator gave for them
snapq_io.py               feeds and reads the package; needs numpy only
```
"""

MODEL = "model.onnx"
TAIL = "tail.onnx"
MANIFEST = "manifest.json"
ENCODINGS = "encodings.json"
HELPER = "snapq_io.py"
DEVICES = "devices"
GOLDEN = "golden"
