"""Who runs snapq on this machine."""

from __future__ import annotations

import getpass
import os


def user_name() -> str:
    """The user's name; the number where the system knows no name, as in many containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
