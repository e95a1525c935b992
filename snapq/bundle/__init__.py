"""The bundle: the folder that goes to the board, and how it is checked.

```
manifest.json             what is in it: hashes, inputs and outputs, devices, golden data
model.onnx                the portable model with the package's boundary
tail.onnx                 what the CPU runs behind it, of a model that was cut
host.npz                  constants of head and tail, of a classical model (manifest: `host`)
snapq_program/            what computes them; needs numpy only
head.onnx, tail.onnx      the same as ONNX, for applications without Python
cpu.onnx                  the whole of a classical model, for the CPU alone
encodings.json            encoding of every tensor (quantized models)
devices/DEVICE/           model_ctx.onnx and its binary, compiled for the SoC
golden/inputs/, golden/vNN/   samples, and what Qualcomm's simulator gave for them
golden/rows/              of a classical model: the rows of these samples, and the answers
deployment.json           which deployment it is of, of a run
packages/DEVICE/          where devices have packages of their own: bundles of the other devices
snapq_io.py               feeds and reads the package; needs numpy only
README.md, include/, samples/, labels.txt, verify.py   for applications, see `application`
```
"""

MODEL = "model.onnx"
TAIL = "tail.onnx"
CPU = "cpu.onnx"
HEAD = "head.onnx"
PROGRAM = "snapq_program"
MANIFEST = "manifest.json"
ENCODINGS = "encodings.json"
DEPLOYMENT = "deployment.json"
HELPER = "snapq_io.py"
DEVICES = "devices"
PACKAGES = "packages"
GOLDEN = "golden"
GOLDEN_ROWS = "golden/rows"
