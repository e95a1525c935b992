"""Programs that run on the board: Python 3.9 or later.

They are sent over the connection each time and leave no file behind. Each has its request as JSON
in the global `JOB` and answers with JSON lines. `probe` and `store` are one file each and need the
standard library only. `agent` is a package, which `start` imports from texts; it needs numpy and
onnxruntime there, and is sent with what computes head and tail of a classical model.
"""
