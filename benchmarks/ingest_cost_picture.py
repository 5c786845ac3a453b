"""Ingest cost picture: milliseconds a page over the size of the index, as an SVG of its own for light and dark pages.

It draws the points that `benchmarks.ingest_scale` measured, one line for each embedder, and computes nothing but
places. Sizes stand on a logarithmic axis. No script, no font and no address of anything else stands in the file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

Point = tuple[float, float]  # chunks, milliseconds a page
_WIDTH, _HEIGHT = 640, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 64, 56  # margins
_STYLE = """
  .back { fill: #fcfcfb } .grid { stroke: #e4e3df } .axis { stroke: #8a8984 }
  .curve { stroke-width: 2; fill: none; stroke-linejoin: round } .first { stroke: #2a78d6 } .second { stroke: #b3641c }
  .dot.first { fill: #2a78d6 } .dot.second { fill: #b3641c }
  text { font: 13px system-ui, sans-serif; fill: #5b5a56 } .title { font-size: 16px; font-weight: 600; fill: #1a1a19 }
  .said { fill: #1a1a19 }
  @media (prefers-color-scheme: dark) {
    .back { fill: #1a1a19 } .grid { stroke: #383733 } .axis { stroke: #8a8984 }
    .first { stroke: #5a9df0 } .second { stroke: #e39a55 } .dot.first { fill: #5a9df0 } .dot.second { fill: #e39a55 }
    text { fill: #b5b4ae } .title, .said { fill: #f2f1ed }
  }
"""
_CLASSES = ("first", "second")


@dataclass(frozen=True)
class _Plane:
    """Places points on the drawing: chunks from `least` to `most` by their logarithm, costs from 0 to `highest`."""

    least: float
    most: float
    highest: float

    def x(self, chunks: float) -> float:
        share = math.log(chunks / self.least) / math.log(self.most / self.least)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(self, cost: float) -> float:
        return round(_HEIGHT - _BOTTOM - cost / self.highest * (_HEIGHT - _TOP - _BOTTOM), 1)


def draw_costs(lines: Mapping[str, Sequence[Point]]) -> str:
    """Return the SVG for up to two named lines of points, each with at least one point."""
    points = [point for line in lines.values() for point in line]
    sizes, costs = [chunks for chunks, _ in points], [cost for _, cost in points]
    least, most = 10 ** math.floor(math.log10(min(sizes))), 10 ** math.ceil(math.log10(max(sizes)) - 0.02)
    plane = _Plane(least, max(most, *sizes, least * 10), _end_of_axis(max(costs)))
    said = "; ".join(f"{name}: {_range(line)} ms a page" for name, line in lines.items())
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>Cost of ingest by size</title><desc>{escape(said)}</desc><style>{_STYLE}</style>",
        f'<rect class="back" width="{_WIDTH}" height="{_HEIGHT}" rx="6"/>',
        _text(_LEFT, 28, "Cost of a page at ingest, by size of the index", name="title"),
        _text(_LEFT, 48, said),
        *_axes(plane),
    ]
    for kind, (name, line) in zip(_CLASSES, lines.items(), strict=False):
        parts += _curve(line, name, kind, plane)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _range(line: Sequence[Point]) -> str:
    low, high = min(cost for _, cost in line), max(cost for _, cost in line)
    return f"{low:.0f}" if round(low) == round(high) else f"{low:.0f} to {high:.0f}"


def _end_of_axis(most: float) -> float:
    step = 10.0 ** math.floor(math.log10(most))
    return float(math.ceil(1.15 * most / step) * step)


def _axes(plane: _Plane) -> Iterable[str]:
    left, right, floor = _LEFT, _WIDTH - _RIGHT, plane.y(0)
    for number in range(5):
        cost = number / 4 * plane.highest
        if number:
            yield f'<line class="grid" x1="{left}" x2="{right}" y1="{plane.y(cost)}" y2="{plane.y(cost)}"/>'
        yield _text(left - 8, plane.y(cost) + 4, f"{cost:g} ms", anchor="end")
    chunks = plane.least
    while chunks <= plane.most * 1.001:
        yield _text(plane.x(chunks), floor + 20, f"{chunks:,.0f}", anchor="middle" if chunks < plane.most else "end")
        chunks *= 10
    yield f'<line class="axis" x1="{left}" x2="{right}" y1="{floor}" y2="{floor}"/>'
    yield _text(right, floor + 40, "chunks in the index", anchor="end")


def _curve(line: Sequence[Point], name: str, kind: str, plane: _Plane) -> Iterable[str]:
    places = [(plane.x(chunks), plane.y(cost)) for chunks, cost in sorted(line)]
    yield f'<polyline class="curve {kind}" points="{" ".join(f"{x},{y}" for x, y in places)}"/>'
    for x, y in places:
        yield f'<circle class="dot {kind}" cx="{x}" cy="{y}" r="4"/>'
    yield _text(places[0][0] + 8, places[0][1] - 10, name, name="said")


def _text(x: float, y: float, text: str, *, anchor: str = "start", name: str = "") -> str:
    kind = f' class="{name}"' if name else ""
    return f'<text{kind} x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
