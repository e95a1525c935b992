"""What this process does about memory and threads."""

from __future__ import annotations

import gc

from snapq.runtime import old_objects_set_aside


def is_looked_at(thing: object) -> bool:
    """Whether the garbage collector looks at an object."""
    return any(one is thing for one in gc.get_objects())


def test_old_objects_are_looked_at_again_afterwards() -> None:
    old = [[0]]
    with old_objects_set_aside():
        with old_objects_set_aside():
            new = [[0]]
            assert not is_looked_at(old)
            assert is_looked_at(new)
        assert not is_looked_at(old)
    assert is_looked_at(old)
    assert is_looked_at(new)


def test_what_the_caller_set_aside_stays_so() -> None:
    gc.freeze()
    try:
        with old_objects_set_aside():
            pass
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
