"""An aarch64 board in QEMU: built once, started in seconds, without root and without KVM.

It runs what a real board runs (the same wheels, agent, push and faults), and it counts
instructions: its clock advances by 1 ns an instruction, so that a "latency" read on it is the
number of instructions in disguise. That number is deterministic, which makes it a good regression
gate, and it is never a speed claim: caches, issue width and memory bandwidth do not count.
"""
