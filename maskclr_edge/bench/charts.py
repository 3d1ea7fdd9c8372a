"""Two small charts as SVG text for a page: bars of percentiles, and cumulative distributions of latencies.

Drawn here and not with matplotlib, so that a bench on a device needs nothing but NumPy for its page.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maskclr_edge.bench.statistics import Samples

#: told apart by people who see few colours (Okabe and Ito)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666")
_WIDTH, _LABELS, _VALUES, _BAR = 860, 250, 90, 22
_PLOT = (60, 12, 560, 260)  # left, top, width, height
_POINTS = 200


@dataclass(frozen=True)
class Bar:
    """One line of a bar chart: the median as a bar, a higher percentile as a whisker where it is known."""

    label: str
    value: float
    whisker: float | None = None


def bar_chart(bars: Sequence[Bar], unit: str) -> str:
    """Horizontal bars from 0, each with its value; as SVG."""
    most = max(max(bar.value, bar.whisker or 0) for bar in bars)
    span = _WIDTH - _LABELS - _VALUES
    parts = []
    for place, bar in enumerate(bars):
        top = place * (_BAR + 6)
        middle, length = top + _BAR / 2, span * bar.value / most
        parts.append(_text(_LABELS - 8, middle, bar.label, "end"))
        parts.append(
            f'<rect x="{_LABELS}" y="{top}" width="{length:.1f}" height="{_BAR}" fill="{COLOURS[0]}"/>'
        )
        end = length
        if bar.whisker is not None:
            end = max(length, span * bar.whisker / most)
            parts.append(
                f'<path d="M{_LABELS + length:.1f} {middle}H{_LABELS + end:.1f}m0 -6v12" '
                f'stroke="{COLOURS[1]}" stroke-width="2" fill="none"/>'
            )
        parts.append(_text(_LABELS + end + 6, middle, f"{bar.value:.3g} {unit}"))
    return _svg(_WIDTH, len(bars) * (_BAR + 6), parts)


def distribution_chart(lines: Sequence[tuple[str, Samples]], unit: str) -> str:
    """Share of samples at or below a value, a line each, over a logarithmic axis; as SVG."""
    left, top, width, height = _PLOT
    every = np.concatenate([samples for _, samples in lines])
    low, high = float(every.min()), max(float(every.max()), float(every.min()) * 1.01)
    scale = width / (np.log(high) - np.log(low))
    shares = np.linspace(0, 1, _POINTS)
    parts = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = top + height * (1 - share)
        parts.append(f'<path d="M{left} {y}h{width}" stroke="#8886" fill="none"/>')
        parts.append(_text(left - 6, y, f"{share:.0%}", "end"))
    for value in _round_values(low, high):
        x = left + scale * (np.log(value) - np.log(low))
        parts.append(f'<path d="M{x:.1f} {top}v{height}" stroke="#8886" fill="none"/>')
        parts.append(_text(x, top + height + 14, f"{value:.3g}", "middle"))
    parts.append(_text(left + width / 2, top + height + 34, unit, "middle"))
    for place, (label, samples) in enumerate(lines):
        colour = COLOURS[place % len(COLOURS)]
        values = np.percentile(samples, 100 * shares, method="inverted_cdf")
        points = " ".join(
            f"{left + scale * (np.log(value) - np.log(low)):.1f},{top + height * (1 - share):.1f}"
            for value, share in zip(values, shares, strict=True)
        )
        parts.append(f'<polyline points="{points}" stroke="{colour}" stroke-width="2" fill="none"/>')
        y = top + 10 + 20 * place
        parts.append(f'<path d="M{left + width + 16} {y}h18" stroke="{colour}" stroke-width="3"/>')
        parts.append(_text(left + width + 40, y, label))
    return _svg(_WIDTH, max(top + height + 46, top + 20 + 20 * len(lines)), parts)


def _round_values(low: float, high: float) -> list[float]:
    """Places for a logarithmic axis: 1, 2, 5, 10, ... where three or more lie between, else even steps."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [digit * 10.0**power for power in decades for digit in (1, 2, 5)]
    found = [value for value in found if low <= value <= high]
    if len(found) >= 3:
        return found
    step = 10.0 ** math.floor(math.log10((high - low) / 2))
    step *= next(times for times in (1, 2, 5) if (high - low) / (times * step) <= 8 or times == 5)
    return [step * place for place in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _svg(width: float, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" font-size="12" '
        f'font-family="system-ui, sans-serif" fill="currentColor">{"".join(parts)}</svg>'
    )
