"""Charts as inline SVG: no script, no library, colours from the page's style sheet.

Every chart is legible at the width of a phone: text keeps its size or is drawn on a narrow canvas. What the
cursor rests on says its numbers (`<title>`). All text is escaped.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from engram.report.behind import with_data

WIDTH, HEIGHT, TALL = 440, 240, 320
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 26, 34
MOST_POINTS = 220
MOST_HOVERS = 60
UNDER = 0.25
"""Of a chart's height, what is drawn at its foot."""
MOST_DOTS = 400


@dataclass
class Series:
    """One line: numbers along x and y. kind: "line", or "points" joined by a line. tone: a class of the style sheet.

    low, high: ends of the interval at each point, drawn as a band; none for no band.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    kind: str = "line"
    tone: str = "accent"
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass
class Bar:
    """One bar. low, high: ends of its interval, where there is one. tone: a class of the style sheet."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    tone: str = "accent"
    note: str = ""


def draw(template: str, **values: Any) -> Markup:
    """Fill a piece of SVG or HTML; values are escaped, pieces made here before are not."""
    return Markup(template).format(**values)


def join(pieces: Sequence[Markup]) -> Markup:
    """Put pieces one after the other."""
    return Markup("").join(pieces)


def bars(items: Sequence[Bar], *, low: float = 0.0, high: float | None = None, say: Callable[[float], str]) -> Markup:
    """Draw horizontal bars with their intervals; each bar has its name above it and its value at its end."""
    values = [v for item in items for v in (item.value, item.high) if v is not None and math.isfinite(v)]
    high = high if high is not None else max([*values, low + 1e-9])
    span = max(high - low, 1e-12)

    def place(value: float) -> float:
        return round(82 * min(max((value - low) / span, 0.0), 1.0), 2) if math.isfinite(value) else 0.0

    rows = []
    for number, item in enumerate(items):
        y = 38 * number
        end = place(item.value)
        whisker = Markup("")
        said = f"{item.name}: {say(item.value)}"
        if item.low is not None and item.high is not None and item.high > item.low:
            said += f" (95 % interval {say(item.low)} to {say(item.high)})"
            whisker = draw(
                '<line class="whisker" x1="{a}%" x2="{b}%" y1="{m}" y2="{m}"/>',
                a=place(item.low),
                b=place(item.high),
                m=y + 25,
            )
        rows.append(
            draw(
                '<g><title>{said}</title>'
                '<text class="name" x="0" y="{t}">{name}<tspan class="faint">{note}</tspan></text>'
                '<rect class="track" x="0" y="{r}" width="82%" height="12" rx="2"/>'
                '<rect class="fill {tone}" x="0" y="{r}" width="{end}%" height="12" rx="2"/>{whisker}'
                '<text class="value" x="100%" y="{v}" text-anchor="end">{value}</text></g>',
                said=said, t=y + 13, name=item.name, note=f"  {item.note}" if item.note else "", r=y + 19,
                tone=item.tone,
                end=end, whisker=whisker, v=y + 29, value=say(item.value),
            )
        )  # fmt: skip
    drawn = draw(
        '<svg class="chart bars" role="img" height="{h}" width="100%">{rows}</svg>',
        h=38 * len(items) + 4,
        rows=join(rows),
    )
    numbers = [(item.name, item.note, item.value, item.low, item.high) for item in items]
    return with_data(drawn, "bars", ("name", "note", "value", "low", "high"), numbers)


def lines(
    series: Sequence[Series],
    *,
    x_name: str,
    y_name: str,
    say_y: Callable[[float], str] = "{:.3g}".format,
    y_from: float | None = None,
    under: tuple[Sequence[float], Sequence[float]] = ((), ()),
) -> Markup:
    """Draw lines over common axes. Empty where no series has two points.

    under: how often values along x occur, drawn at the foot: shares, and the edges that they lie between.
    """
    series = [s for s in (_finite(s) for s in series) if len(s.x) > 1]
    if not series:
        return Markup("")
    xs, ys = [v for s in series for v in s.x], [v for s in series for v in (*s.y, *s.low, *s.high)]
    x_ticks = ticks(min(xs), max(xs), 5)
    y_ticks = ticks(min(ys) if y_from is None else min(y_from, *ys), max(ys), 5)
    x_low, x_high = min(xs), max(max(xs), min(xs) + 1e-9)
    y_low, y_high = y_ticks[0], max(y_ticks[-1], y_ticks[0] + 1e-9)  # a line may be level throughout

    def px(value: float) -> float:
        return round(LEFT + (value - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT), 1)

    def py(value: float) -> float:
        return round(HEIGHT - BOTTOM - (value - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM), 1)

    grid = _axes([(px(t), short(t)) for t in x_ticks if x_low <= t <= x_high], [(py(t), say_y(t)) for t in y_ticks])
    drawn = [*_under(*under, px), *(_band(s, px, py) for s in series if s.low)]
    drawn += [_line(s, px, py, x_name=x_name, say_y=say_y) for s in series]
    drawn += _names_of_lines(series, px, py)
    name = f"{y_name} over {x_name}"
    numbers = [(s.name, float(s.x[i]), float(s.y[i])) for s in series for i in _thinned(s)]
    svg = _svg(join([grid, _names(x_name, y_name), *drawn]), name)
    return with_data(svg, name, ("line", x_name, y_name), numbers)


def _under(shares: Sequence[float], edges: Sequence[float], px: Callable[[float], float]) -> list[Markup]:
    """Bars at the foot of a chart."""
    most, foot = max([*shares, 1e-12]), HEIGHT - BOTTOM
    found = []
    for share, a, b in zip(shares, edges[:-1], edges[1:], strict=True):
        tall = round(UNDER * (foot - TOP) * share / most, 1)
        found.append(
            draw(
                '<rect class="under" x="{x}" y="{y}" width="{w}" height="{h}"><title>{said}</title></rect>',
                x=px(a), y=foot - tall, w=max(0.5, round(px(b) - px(a) - 0.5, 1)), h=tall,
                said=f"{share:.1%} of training rows from {short(a)} to {short(b)}",
            )
        )  # fmt: skip
    return found


def _thinned(s: Series) -> list[int]:
    """Which points of a line are drawn."""
    thin = max(1, len(s.x) // MOST_POINTS)
    return [i for i in range(len(s.x)) if i % thin == 0 or i == len(s.x) - 1]


def _band(s: Series, px: Callable, py: Callable) -> Markup:
    kept = _thinned(s)
    upper = [f"{px(s.x[i])},{py(s.high[i])}" for i in kept]
    lower = [f"{px(s.x[i])},{py(s.low[i])}" for i in reversed(kept)]
    return draw('<path class="band {tone}" d="M{path}Z"/>', tone=s.tone, path="L".join([*upper, *lower]))


def _line(s: Series, px: Callable, py: Callable, *, x_name: str, say_y: Callable[[float], str]) -> Markup:
    kept = _thinned(s)
    path = "M" + "L".join(f"{px(s.x[i])},{py(s.y[i])}" for i in kept)
    hover = max(1, len(kept) // MOST_HOVERS)
    dots = [
        draw(
            '<circle class="{kind} {tone}" cx="{x}" cy="{y}" r="{r}"><title>{said}</title></circle>',
            kind="dot" if s.kind == "points" else "hover",
            tone=s.tone, x=px(s.x[i]), y=py(s.y[i]), r=3 if s.kind == "points" else 7,
            said=f"{s.name}: {say_y(s.y[i])} at {short(s.x[i])} {x_name}",
        )
        for i in kept[::hover]
    ]  # fmt: skip
    return draw('<path class="line {tone}" d="{path}"/>{dots}', tone=s.tone, path=path, dots=join(dots))


def _names_of_lines(series: Sequence[Series], px: Callable, py: Callable) -> Iterator[Markup]:
    """The names of lines that colour does not tell apart: where each is farthest from all others, on the free side."""
    tones = Counter(s.tone for s in series)
    for s in series:
        if tones[s.tone] > 1:
            at = max(range(len(s.x)), key=lambda i: abs(_to_nearest(s, i, series, py)))
            x, y, side = px(s.x[at]), py(s.y[at]), _to_nearest(s, at, series, py)
            anchor = "start" if x < WIDTH / 3 else "end" if x > 2 * WIDTH / 3 else "middle"
            yield draw(
                '<text class="beside" x="{x}" y="{y}" text-anchor="{anchor}">{name}</text>',
                x=x, y=round(y + (14 if side < 0 else -5), 1), anchor=anchor, name=s.name,
            )  # fmt: skip


def _to_nearest(s: Series, i: int, series: Sequence[Series], py: Callable) -> float:
    """How far below point i of a line the nearest other line is, on the drawing; negative where it is above."""
    return min((py(o.y[i]) - py(s.y[i]) for o in series if o is not s and i < len(o.y)), key=abs, default=0.0)


def reliability(after: Sequence[dict[str, float]], before: Sequence[dict[str, float]] = ()) -> Markup:
    """Draw the share of right answers over stated confidence; the diagonal is truth. Dots grow with their count."""
    side, tall, height = WIDTH - LEFT - RIGHT, TALL - TOP - BOTTOM, TALL

    def px(value: float) -> float:
        return round(LEFT + value * side, 1)

    def py(value: float) -> float:
        return round(TOP + (1 - value) * tall, 1)

    shares = [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    pieces = [
        _axes(
            [(px(v), f"{100 * v:.0f} %") for v in shares], [(py(v), f"{100 * v:.0f} %") for v in shares], height=height
        ),
        _names("stated confidence", "share that was right", height=height),
        draw('<path class="ideal" d="M{a},{b}L{c},{d}"/>', a=px(0), b=py(0), c=px(1), d=py(1)),
    ]
    most = max([b["count"] for b in (*after, *before)], default=1)
    for bins, tone, name in ((before, "floor", "before calibration"), (after, "accent", "as delivered")):
        if bins:
            path = "M" + "L".join(f"{px(b['confidence'])},{py(b['accuracy'])}" for b in bins)
            pieces.append(draw('<path class="line {tone}" d="{path}"/>', tone=tone, path=path))
        for b in bins:
            pieces.append(
                draw(
                    '<circle class="dot {tone}" cx="{x}" cy="{y}" r="{r}"><title>{said}</title></circle>',
                    tone=tone, x=px(b["confidence"]), y=py(b["accuracy"]),
                    r=round(2.5 + 6 * math.sqrt(b["count"] / most), 1),
                    said=f"{name}: {b['count']:,} answers, confidence {b['confidence']:.1%}, right {b['accuracy']:.1%}",
                )
            )  # fmt: skip
    numbers = [
        (name, b["confidence"], b["accuracy"], b["count"])
        for bins, name in ((before, "before calibration"), (after, "as delivered"))
        for b in bins
    ]
    svg = _svg(join(pieces), "reliability diagram", height=height)
    return with_data(svg, "reliability", ("answers", "stated confidence", "share right", "number"), numbers)


def histogram(counts: Sequence[int], edges: Sequence[float], *, threshold: float, x_name: str, y_name: str) -> Markup:
    """Draw counts between edges; what lies above the threshold stands out."""
    low, high, most = edges[0], edges[-1], max([*counts, 1])
    y_ticks = ticks(0, most, 4)

    def px(value: float) -> float:
        return round(LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT), 1)

    def py(value: float) -> float:
        return round(TALL - BOTTOM - value / y_ticks[-1] * (TALL - TOP - BOTTOM), 1)

    x_ticks = [(px(t), short(t)) for t in ticks(low, high, 5) if low <= t <= high]
    pieces = [_axes(x_ticks, [(py(t), f"{t:,.0f}") for t in y_ticks], height=TALL), _names(x_name, y_name, height=TALL)]
    for count, a, b in zip(counts, edges[:-1], edges[1:], strict=True):
        if count:
            pieces.append(
                draw(
                    '<rect class="fill {tone}" x="{x}" y="{y}" width="{w}" height="{h}"><title>{said}</title></rect>',
                    tone="warn" if a >= threshold - 1e-9 else "accent", x=px(a) + 0.5, y=py(count),
                    w=max(0.5, round(px(b) - px(a) - 1, 1)), h=round(TALL - BOTTOM - py(count), 1),
                    said=f"{count:,} {y_name} from {a:.2f} to {b:.2f}",
                )
            )  # fmt: skip
    line = '<path class="threshold" d="M{x},{a}L{x},{b}"/>'
    pieces.append(draw(line, x=px(threshold), a=TOP, b=TALL - BOTTOM))
    svg = _svg(join(pieces), f"{y_name} by {x_name}", height=TALL)
    numbers = zip(map(float, edges[:-1]), map(float, edges[1:]), counts, strict=True)
    return with_data(svg, f"{y_name} by {x_name}", ("from", "to", y_name), numbers)


def scatter(
    x: Sequence[float],
    y: Sequence[float],
    usual: Sequence[bool],
    *,
    x_name: str,
    y_name: str,
    usually: str,
    diagonal: bool = False,
) -> Markup:
    """Draw points, those that are not usual in another colour, over the line y = x where `diagonal`, else y = 0.

    usually: what is usual, for the head of its column.
    """
    kept = range(0, len(x), math.ceil(len(x) / MOST_DOTS))
    x_ends, y_ends = ((min(v), max(v)) for v in (x, y))
    if diagonal:
        x_ends = y_ends = (min(*x_ends, *y_ends), max(*x_ends, *y_ends))
    x_ticks, y_ticks = ticks(*x_ends, 5), ticks(*y_ends, 5)

    def px(value: float) -> float:
        return round(LEFT + (value - x_ticks[0]) / (x_ticks[-1] - x_ticks[0]) * (WIDTH - LEFT - RIGHT), 1)

    def py(value: float) -> float:
        return round(TALL - BOTTOM - (value - y_ticks[0]) / (y_ticks[-1] - y_ticks[0]) * (TALL - TOP - BOTTOM), 1)

    first, last = (x_ticks[0], x_ticks[-1]) if diagonal else (0.0, 0.0)
    dots = [
        draw(
            '<circle class="dot {tone}" cx="{x}" cy="{y}" r="2.5"><title>{said}</title></circle>',
            tone="accent" if usual[i] else "warn", x=px(x[i]), y=py(y[i]),
            said=f"{x_name} {short(x[i])}, {y_name} {short(y[i])}",
        )
        for i in kept
    ]  # fmt: skip
    line = '<path class="ideal" d="M{a},{b}L{c},{d}"/>'
    pieces = [
        _axes([(px(t), short(t)) for t in x_ticks], [(py(t), short(t)) for t in y_ticks], height=TALL),
        _names(x_name, y_name, height=TALL),
        draw(line, a=px(x_ticks[0]), b=py(first), c=px(x_ticks[-1]), d=py(last)),
    ]
    name = f"{y_name} over {x_name}"
    numbers = [(float(x[i]), float(y[i]), "yes" if usual[i] else "no") for i in kept]
    return with_data(_svg(join([*pieces, *dots]), name, height=TALL), name, (x_name, y_name, usually), numbers)


def ticks(low: float, high: float, number: int) -> list[float]:
    """Round values, evenly spaced, that enclose a range."""
    span = max(high - low, abs(high) * 1e-6, 1e-12)
    power = 10 ** math.floor(math.log10(span / number))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if span / (factor * power) <= number)
    first = math.floor(low / step + 1e-9)
    count = max(1, math.ceil(high / step - 1e-9) - first)
    return [round((first + i) * step, 12) for i in range(count + 1)]


def short(value: float) -> str:
    """A number for an axis: 12000 -> "12k"; 0.25 -> "0.25"."""
    if abs(value) >= 10_000:
        return f"{value / 1000:,.4g}k"
    return f"{value:,.4g}"


def _finite(s: Series) -> Series:
    kept = [i for i, (x, y) in enumerate(zip(s.x, s.y, strict=True)) if math.isfinite(x) and math.isfinite(y)]
    low, high = ([ends[i] for i in kept] if len(ends) else () for ends in (s.low, s.high))
    return Series(s.name, [s.x[i] for i in kept], [s.y[i] for i in kept], s.kind, s.tone, low, high)


def _axes(xs: Sequence[tuple[float, str]], ys: Sequence[tuple[float, str]], *, height: float = HEIGHT) -> Markup:
    right, foot = WIDTH - RIGHT, height - BOTTOM
    across = [
        draw(
            '<path class="grid" d="M{a},{y}H{b}"/><text class="tick" x="{t}" y="{u}" text-anchor="end">{name}</text>',
            a=LEFT, b=right, y=y, t=LEFT - 7, u=y + 4, name=name,
        )
        for y, name in ys
    ]  # fmt: skip
    below = [
        draw('<text class="tick" x="{x}" y="{y}" text-anchor="middle">{name}</text>', x=x, y=foot + 16, name=name)
        for x, name in xs
    ]
    return join([*across, *below])


def _names(x_name: str, y_name: str, *, height: float = HEIGHT) -> Markup:
    return draw(
        '<text class="axis" x="0" y="11">{y}</text><text class="axis" x="{r}" y="{h}" text-anchor="end">{x}</text>',
        y=y_name, x=x_name, r=WIDTH - RIGHT, h=height - 3,
    )  # fmt: skip


def _svg(inside: Markup, name: str, *, height: float = HEIGHT) -> Markup:
    return draw(
        '<svg class="chart" role="img" aria-label="{name}" viewBox="0 0 {w} {h}">{inside}</svg>',
        name=name, w=WIDTH, h=height, inside=inside,
    )  # fmt: skip
