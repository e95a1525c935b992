"""The version of snapq; the build reads it from here."""

__version__ = "0.1.0"
