"""Structured pruning on the ONNX graph: which channels belong together, which to cut, and the cut.

axes        one number for every index of every axis, and which numbers are one channel
rules/      how operators tie the axes of their inputs and outputs, one file a family
groups      the channels of a model that can be cut, and why others cannot
blocks      residual blocks taken out whole
surgery     the cut itself, and the same model with the channels silenced instead
statistics  what calibration shows of the channels, streamed
importance  how much a model loses with each channel
budget      how many channels to take from which group
repair      the weights behind a cut, refitted by least squares
sparsity    masks of single weights, for the size of downloads only
"""
