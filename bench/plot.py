"""A plain line chart as SVG, logarithmic both ways: enough for one plot."""

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

Line = tuple[str, Sequence[tuple[float, float]]]

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 50, 60
COLOURS = ("#1b6ca8", "#c8553d", "#3a7d44", "#7b4b94", "#8a6d1d", "#2a9d9d", "#555555")


def plot_svg(title: str, x_words: str, y_words: str, lines: Sequence[Line]) -> str:
    """Return the picture."""
    xs = sorted({x for _, points in lines for x, _ in points})
    ys = [y for _, points in lines for _, y in points]
    lowest, highest = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)))
    decades = max(highest - lowest, 1)
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    span = math.log(xs[-1] / xs[0]) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            round(LEFT + width * math.log(x / xs[0]) / span, 1),
            round(TOP + height * (1 - (math.log10(y) - lowest) / decades), 1),
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="28" font-size="16">{escape(title)}</text>',
        f'<text x="{LEFT + width / 2}" y="{HEIGHT - 15}" text-anchor="middle">'
        f"{escape(x_words)}</text>",
        f'<text transform="rotate(-90)" x="{-(TOP + height / 2)}" y="18" text-anchor="middle">'
        f"{escape(y_words)}</text>",
    ]
    for decade in range(decades + 1):
        y = 10.0 ** (lowest + decade)
        _, top = place(xs[0], y)
        parts.append(f'<path d="M{LEFT} {top}H{LEFT + width}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{top + 4}" text-anchor="end">{y:g}</text>')
    for x in xs:
        left, bottom = place(x, 10.0**lowest)
        parts.append(f'<text x="{left}" y="{bottom + 18}" text-anchor="middle">{x:,.0f}</text>')
    for number, (name, points) in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        places = [place(x, y) for x, y in points]
        path = " ".join(f"{left},{top}" for left, top in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in places]
        top = TOP + 18 * number
        parts.append(
            f'<text x="{LEFT + width + 14}" y="{top + 4}" fill="{colour}">{escape(name)}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])
