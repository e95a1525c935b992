"""The agent's start: the parent where the host gave a job, a child where the parent gave none."""

from __future__ import annotations

import json
import os
import sys
import traceback

from .child import child
from .parent import parent
from .process import Child, end_all
from .wire import FailedError, ToldError, tell

__all__ = ["main"]


def main(job: bytes | None, source: bytes) -> None:
    """Runs the agent.

    Args:
        job: what the host asks for, as JSON; None in a child.
        source: the program, as it came here.
    """
    if job is None:
        child()
        return
    Child.source = source
    code = 0
    try:
        parent(json.loads(job))
    except ToldError:
        pass
    except FailedError as error:
        what, where, hint = (*error.args, "", "")[:3]
        tell("error", what=what, where=where, hint=hint)
    except OSError as error:
        tell(
            "error",
            what=f"{os.strerror(error.errno) if error.errno else error}.",
            where=str(error.filename or ""),
            hint="Check the free disk space and the permissions on the board.",
        )
    except BaseException:
        traceback.print_exc()
        code = 1
    end_all()
    sys.stderr.flush()
    os._exit(code)  # not through the interpreter's end: a thread waits for the host there
