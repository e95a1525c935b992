"""What this process does about memory and threads."""

from __future__ import annotations

import gc

from snapq.runtime import old_objects_set_aside


def test_old_objects_are_looked_at_again_afterwards() -> None:
    before = gc.get_freeze_count()
    with old_objects_set_aside():
        within = gc.get_freeze_count()
        with old_objects_set_aside():
            assert gc.get_freeze_count() == within
        assert gc.get_freeze_count() == within
    assert (before, gc.get_freeze_count()) == (0, 0)
    assert within > 0


def test_what_the_caller_set_aside_stays_so() -> None:
    gc.freeze()
    try:
        with old_objects_set_aside():
            pass
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
