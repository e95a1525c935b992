"""Classical models (trees, SVMs, linear models) on the NPU: from ONNX-ML nodes to what runs there.

```
head (host)  ─►  part on the NPU  ─►  tail (host)
```

Head and tail are one `Program`: named steps in NumPy with ONNX Runtime's float32 semantics, which
snapq, the application (`snapq_io`) and the board's agent run alike.

ensemble    the plain form of tree ensembles
svm         the plain form of support vector machines
linear      the plain form of linear models
program/    steps of the host; NumPy only, shipped to boards
lowered     what an estimator became on the NPU
"""
