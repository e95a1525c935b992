"""Broken input on purpose, in great numbers: nothing of it may end snapq but a clear sentence."""
