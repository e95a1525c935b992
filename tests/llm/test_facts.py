"""What `llm.json` says of a pair."""

from __future__ import annotations

import pytest

from snapq.llm.files import Facts
from snapq.llm.texts import windows_of


def facts(context: int, prefill: int) -> Facts:
    sizes = {"layers": 1, "hidden": 8, "heads": 1, "kv_heads": 1, "head_size": 8, "vocabulary": 9}
    told = {"family": "llama", "beginning": None, "ends": [], **sizes}
    return Facts.model_validate({**told, "context": context, "prefill": prefill})


@pytest.mark.parametrize(
    ("context", "prefill", "longest"), [(256, 128, 128), (300, 128, 256), (257, 128, 256)]
)
def test_the_longest_prompt_leaves_room_for_a_token(
    context: int, prefill: int, longest: int
) -> None:
    assert facts(context, prefill).longest_prompt == longest
    filled = [windows_of([0] * count, prefill) * prefill for count in (longest, longest + 1)]
    assert filled[0] < context <= filled[1]
