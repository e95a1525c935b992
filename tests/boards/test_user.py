"""Who runs snapq, where the system does not know them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

UNKNOWN = "54321"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without a name")
def test_a_user_without_a_name_goes_by_the_number() -> None:
    code = (
        "import os, pwd; from snapq.boards.user import user_name; "
        f"os.setuid({UNKNOWN}); print(user_name())"
    )
    names = ("LOGNAME", "USER", "LNAME", "USERNAME")
    environment = {key: value for key, value in os.environ.items() if key not in names}
    done = subprocess.run([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)
    assert done.stdout.decode().strip() == UNKNOWN
