"""Classical models (trees, SVMs, linear models) on the NPU: from ONNX-ML nodes to what runs there.

```
head (host)  ─►  part on the NPU  ─►  tail (host)
```

Head and tail are one `Program`: named steps in NumPy with ONNX Runtime's float32 semantics, which
snapq, the application (`snapq_io`) and the board's agent run alike.

reading/    from nodes to plain forms and steps
model       a model as it was read: run in NumPy, split into head, estimators and tail
ensemble    the plain form of tree ensembles
svm         the plain form of support vector machines
linear      the plain form of linear models
perceptron  the plain form of multilayer perceptrons
estimator   a plain form between the steps of the host
lowering/   SVMs and linear models as a float model for the NPU
on_host     an estimator as steps of the host, for what stays there
on_cpu      SVMs and linear models as products in float32, for a CPU
program/    steps of the host; NumPy only, shipped to boards
writing/    steps and estimators as ONNX models for a CPU
rewrite     a whole model in fewer bytes for a CPU
pruning     subtrees that become leaves where held-out data allows it
lowered     what an estimator became on the NPU
"""
