"""Where the names of points go so that they cover neither each other nor the points.

Plain geometry, in any unit of length (points of print, say): each name tries places around its
point, near ones first, and the cheapest set of places is looked for by going over all names until
nothing improves.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

_DIRECTIONS = 16
_REACHES = (1.0, 1.8, 3.0, 4.5, 6.5, 9.0)  # distances from a point, in gaps
_ROUNDS = 30
# Costs: what must not happen, what should not, and how far a name is from its point.
_COVERS_NAME, _COVERS_POINT, _OUTSIDE, _CROSSES, _DISTANCE = 1000.0, 300.0, 2000.0, 60.0, 1.0
_COVERS_LINE, _NEARER_ANOTHER = 3.0, 25.0
_BESIDE = 0.3  # prefer names right or left of a point to those above or below

_Segment = tuple[tuple[float, float], tuple[float, float]]


@dataclasses.dataclass(frozen=True)
class Box:
    """A rectangle."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: Box) -> float:
        """The common area."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)

    @property
    def area(self) -> float:
        """Width times height."""
        return (self.right - self.left) * (self.top - self.bottom)

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """The point of the rectangle that is nearest to a point."""
        return min(max(x, self.left), self.right), min(max(y, self.bottom), self.top)


@dataclasses.dataclass(frozen=True)
class _Place:
    box: Box
    cost: float
    leader: _Segment  # from the point to the name


def place_labels(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    bounds: Box,
    *,
    gap: float = 4.0,
    others: Sequence[tuple[float, float]] = (),
    lines: Sequence[Box] = (),
) -> list[Box]:
    """A rectangle for each point's name.

    Args:
      points: What is named.
      sizes: Width and height of each name.
      bounds: Names stay inside where they can.
      gap: From a point's middle to its name.
      others: Further points, which have no names and must not be covered.
      lines: Small pieces of lines that names should rather not cover.
    """
    taken = [Box(x - gap, y - gap, x + gap, y + gap) for x, y in (*points, *others)]
    options = [
        _places(point, size, bounds, gap, [*taken[:own], *taken[own + 1 :]], lines)
        for own, (point, size) in enumerate(zip(points, sizes, strict=True))
    ]
    chosen = [min(places, key=lambda place: place.cost) for places in options]
    for _ in range(_ROUNDS):
        before = list(chosen)
        for k, places in enumerate(options):
            others = [*chosen[:k], *chosen[k + 1 :]]
            chosen[k] = min(places, key=lambda place: _cost_among(place, others))
        if chosen == before:
            break
    return [place.box for place in chosen]


def _places(
    point: tuple[float, float],
    size: tuple[float, float],
    bounds: Box,
    gap: float,
    taken: Sequence[Box],
    lines: Sequence[Box],
) -> list[_Place]:
    (x, y), (width, height) = point, size
    found = []
    for reach in _REACHES:
        for k in range(_DIRECTIONS):
            angle = 2 * math.pi * k / _DIRECTIONS
            across, up = math.cos(angle), math.sin(angle)
            middle_x = x + across * (gap * reach + width / 2)
            middle_y = y + up * (gap * reach + height / 2)
            box = Box(
                middle_x - width / 2, middle_y - height / 2,
                middle_x + width / 2, middle_y + height / 2,
            )  # fmt: skip
            leader = ((x, y), box.nearest(x, y))
            cost = _DISTANCE * reach + _BESIDE * abs(up)
            cost += _COVERS_POINT * sum(box.overlap(other) for other in taken) / box.area
            cost += _NEARER_ANOTHER * sum(_is_nearer(other, box, leader) for other in taken)
            cost += _COVERS_LINE * sum(box.overlap(piece) > 0 for piece in lines)
            cost += _OUTSIDE * (1 - box.overlap(bounds) / box.area)
            cost += _CROSSES * sum(_passes(leader, other) for other in taken)
            found.append(_Place(box, cost, leader))
    return found


def _is_nearer(other: Box, box: Box, leader: _Segment) -> bool:
    """Whether a name would stand nearer to another point than to its own."""
    middle = ((other.left + other.right) / 2, (other.bottom + other.top) / 2)
    return math.dist(middle, box.nearest(*middle)) < math.dist(*leader)


def _cost_among(place: _Place, others: Sequence[_Place]) -> float:
    cost = place.cost
    for other in others:
        cost += _COVERS_NAME * place.box.overlap(other.box) / place.box.area
        cost += _CROSSES * (_passes(place.leader, other.box) + _passes(other.leader, place.box))
        cost += _CROSSES * _cross(place.leader, other.leader)
    return cost


def _cross(first: _Segment, second: _Segment) -> bool:
    """Whether two lines from points to names cross."""

    def side(line: _Segment, point: tuple[float, float]) -> float:
        (x0, y0), (x1, y1) = line
        return (x1 - x0) * (point[1] - y0) - (y1 - y0) * (point[0] - x0)

    return (
        side(first, second[0]) * side(first, second[1]) < 0
        and side(second, first[0]) * side(second, first[1]) < 0
    )


def _passes(leader: _Segment, box: Box) -> bool:
    """Whether the line from a point to its name goes through a rectangle (tried at 8 places)."""
    (x0, y0), (x1, y1) = leader
    return any(
        box.left < x0 + t * (x1 - x0) < box.right and box.bottom < y0 + t * (y1 - y0) < box.top
        for t in (k / 8 for k in range(1, 9))
    )
