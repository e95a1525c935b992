"""Measures models on a board. Runs on the board; the host reads its JSON lines.

The parent holds the lock, watches over time, host and children, and gives the turns. Each model
lives in a child process of its own, so that memory and state are its own and only one computes at
a time. A round goes A B, the next B A; every repeat starts the processes afresh in the other order.
Nothing falls back in silence: each entry of a model's fallback chain that was not taken is told
with the reason, and on the NPU the CPU is forbidden.

main       starts a parent or a child
parent     the lock, the turns, the fallback chain
process    a child, as the parent sees it
child      what a child does
rows       head and tail of a classical model around its part for the NPU
session    sessions of ONNX Runtime
machine    the board's libraries, temperatures and clocks
wire       what processes say to each other
"""
