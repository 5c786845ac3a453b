"""Risk picture: the risk-coverage curve as an SVG of its own, readable on light and on dark backgrounds.

It draws the points that `evaluate abstention` measured and computes nothing but places. No script, no font and no
address of anything else stands in the file, so it can be shown anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from assistant.evaluate import RISK_BORNE

Point = tuple[float, float]  # coverage, risk
_WIDTH, _HEIGHT = 640, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 64, 56  # margins
_STYLE = """
  .back { fill: #fcfcfb } .grid { stroke: #e4e3df } .axis { stroke: #8a8984 }
  .curve { stroke: #2a78d6; stroke-width: 2; fill: none; stroke-linejoin: round }
  .borne { stroke: #6b6a66; stroke-dasharray: 5 4 } .now { fill: #2a78d6; stroke: #fcfcfb; stroke-width: 2 }
  text { font: 13px system-ui, sans-serif; fill: #5b5a56 } .title { font-size: 16px; font-weight: 600; fill: #1a1a19 }
  .said { fill: #1a1a19 }
  @media (prefers-color-scheme: dark) {
    .back { fill: #1a1a19 } .grid { stroke: #383733 } .axis { stroke: #8a8984 }
    .curve { stroke: #5a9df0 } .borne { stroke: #a5a49e } .now { fill: #5a9df0; stroke: #1a1a19 }
    text { fill: #b5b4ae } .title, .said { fill: #f2f1ed }
  }
"""


@dataclass(frozen=True)
class _Plane:
    """Places points on the drawing; the risk axis ends at `most_risk`."""

    most_risk: float

    def x(self, coverage: float) -> float:
        return round(_LEFT + coverage * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(self, risk: float) -> float:
        return round(_HEIGHT - _BOTTOM - risk / self.most_risk * (_HEIGHT - _TOP - _BOTTOM), 1)


def draw_risk_coverage(figures: Mapping[str, Any]) -> str:
    """Return the SVG for what `measure_abstention` returned with a `curve`; the dot is the product's own threshold."""
    points = [(float(point["coverage"]), float(point["risk"])) for point in figures["curve"]]
    now = (float(figures["coverage"]), float(figures.get("risk", 0.0)))
    plane = _Plane(_end_of_axis(max(risk for _, risk in [*points, now])))
    within = float(figures[f"coverage@{RISK_BORNE:.0%}risk"])
    said = f"AURC {figures['aurc']:.3f}; coverage {within:.2f} at {RISK_BORNE:.0%} risk"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>Risk and coverage</title><desc>{escape(said)}</desc><style>{_STYLE}</style>",
        f'<rect class="back" width="{_WIDTH}" height="{_HEIGHT}" rx="6"/>',
        _text(_LEFT, 28, "Risk of what is answered, by share answered", name="title"),
        _text(_LEFT, 48, said),
        *_axes(plane),
        *_borne(plane),
        _line_through(points, plane),
        *_dot(now, plane),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _end_of_axis(most: float) -> float:
    return max(0.1, min(1.0, math.ceil(most * 10 + 0.25) / 10))


def _axes(plane: _Plane) -> Iterable[str]:
    left, right, floor = plane.x(0), plane.x(1), plane.y(0)
    for number in range(5):
        share = number / 4
        risk = share * plane.most_risk
        if number:
            yield f'<line class="grid" x1="{left}" x2="{right}" y1="{plane.y(risk)}" y2="{plane.y(risk)}"/>'
        yield _text(left - 8, plane.y(risk) + 4, f"{risk:.1%}".replace(".0%", "%"), anchor="end")
        yield _text(plane.x(share), floor + 20, f"{share:.0%}", anchor="middle")
    yield f'<line class="axis" x1="{left}" x2="{right}" y1="{floor}" y2="{floor}"/>'
    yield _text(right, floor + 40, "coverage: questions answered", anchor="end")


def _borne(plane: _Plane) -> Iterable[str]:
    height = plane.y(RISK_BORNE)
    yield f'<line class="borne" x1="{plane.x(0)}" x2="{plane.x(1)}" y1="{height}" y2="{height}"/>'
    yield _text(plane.x(0) + 6, height - 5, f"{RISK_BORNE:.0%} risk")


def _line_through(points: Sequence[Point], plane: _Plane) -> str:
    places = " ".join(f"{plane.x(coverage)},{plane.y(risk)}" for coverage, risk in points)
    return f'<polyline class="curve" points="{places}"/>'


def _dot(now: Point, plane: _Plane) -> Iterable[str]:
    across, height = plane.x(now[0]), plane.y(now[1])
    yield f'<circle class="now" cx="{across}" cy="{height}" r="6"/>'
    beside, anchor = (across - 10, "end") if now[0] > 0.5 else (across + 10, "start")
    yield _text(beside, height - 10, f"as served: {now[0]:.0%} answered, risk {now[1]:.1%}", anchor=anchor, name="said")


def _text(x: float, y: float, text: str, *, anchor: str = "start", name: str = "") -> str:
    kind = f' class="{name}"' if name else ""
    return f'<text{kind} x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
