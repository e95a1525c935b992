"""Processes of our own in which work happens that can crash, hang, print or keep memory."""
