"""Observers: what is learned of a tensor while calibration samples stream past, a file each."""
