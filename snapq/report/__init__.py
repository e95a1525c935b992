"""The report of a run: one HTML file, and the table that a run ends with.

Its only input is `snapq.records.RunRecord`.
"""
