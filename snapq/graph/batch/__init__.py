"""A model of one sample as a model of several: each of them as if it stood alone.

The NPU takes several samples in less time than one after the other. `batched` makes a finished
model (Q/DQ or float, with the package's own inputs and outputs) one of more samples; it keeps every
encoding. How a batch goes through each operator is a rule (`layers`, `movement`, `pointwise`).
"""

from snapq.graph.batch.make import batched, check_same

__all__ = ["batched", "check_same"]
