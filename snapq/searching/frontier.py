"""Which points nothing else beats, and how much of the plane they cover."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

Key = TypeVar("Key")
Point = tuple[float, float]
"""Time and loss; smaller is better in both."""


def frontier(points: Iterable[tuple[Key, Point]]) -> list[tuple[Key, Point]]:
    """The points that no other beats, fastest first; of equal ones the first."""
    best: list[tuple[Key, Point]] = []
    for key, point in sorted(points, key=lambda item: item[1]):
        if not best or point[1] < best[-1][1][1]:
            best.append((key, point))
    return best


def hypervolume(points: Iterable[Point], worst: Point) -> float:
    """The area between the frontier and a point that is worse than all of it.

    Zitzler and Thiele, "Multiobjective optimization using evolutionary algorithms" (1998). Points
    beyond `worst` add nothing.
    """
    inside = [(0, (us, loss)) for us, loss in points if us < worst[0] and loss < worst[1]]
    area, above = 0.0, worst[1]
    for _, (us, loss) in frontier(inside):
        area += (worst[0] - us) * (above - loss)
        above = loss
    return area


def worst_of(points: Sequence[Point]) -> Point:
    """The slowest time and the largest loss, a little beyond, so that these points count too."""
    slow, lossy = max(us for us, _ in points), max(loss for _, loss in points)
    quick, least = min(us for us, _ in points), min(loss for _, loss in points)
    return slow + 0.05 * max(slow - quick, 1e-9), lossy + 0.05 * max(lossy - least, 1e-9)
