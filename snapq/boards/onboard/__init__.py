"""Programs that run on the board: one file each, Python 3.9 or later.

They are sent over the connection each time and leave no file behind. Each has its request as JSON
in the global `JOB` and answers with JSON lines. `agent` also needs numpy and onnxruntime there;
the others need the standard library only.
"""
