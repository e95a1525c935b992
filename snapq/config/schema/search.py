"""`search`: which keys of deploy.yaml `snapq search` varies, and over what."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from snapq.config.schema.base import Strict

LAYERS, RESOLUTION = "layers", "resolution"
"""What can be searched beside the keys of the file."""


class SearchRange(Strict):
    """Numbers between two ends, both among them; whole numbers where both ends are."""

    low: int | float
    """The smallest."""
    high: int | float
    """The largest."""
    step: Annotated[int | float, Field(gt=0)] | None = None
    """Distance of neighbours: only low, low + step and so on are tried."""
    log: bool = False
    """Try small numbers as closely as large ones: 1 to 10 as often as 10 to 100."""

    @model_validator(mode="after")
    def _fits(self) -> SearchRange:
        if self.low >= self.high:
            raise ValueError("`low` is below `high` in a range, such as `{low: 0.1, high: 0.5}`.")
        if self.log and (self.step is not None or self.low <= 0):
            raise ValueError("`log` goes with a `low` above 0 and without `step`.")
        if self.step is not None and self.step > self.high - self.low:
            raise ValueError("`step` is larger than the range.")
        return self

    @property
    def whole(self) -> bool:
        """Whether it is of whole numbers."""
        return all(not isinstance(one, float) for one in (self.low, self.high, self.step or 1))


SearchMarks = dict[str, Annotated[tuple[Any, ...], Field(min_length=1)] | SearchRange]
"""A list of values, or a range, by key path."""
