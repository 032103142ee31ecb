"""Axes of charts: which range they show, where their ticks stand, what is written at them."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass

_INFINITY = math.inf
_LARGEST = sys.float_info.max
_SUFFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values, low < high, with ticks inside it."""

    low: float
    high: float
    ticks: tuple[float, ...]
    step: float

    def share(self, value: float) -> float:
        """Return where a value lies, 0 at low and 1 at high; exact even where high - low is no float."""
        return (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)

    def label(self, value: float) -> str:
        """Return what is written at a tick, with as many digits as tell the ticks apart."""
        if value == 0 or abs(value) < self.step * 1e-6:
            return "0"
        largest = max(abs(self.low), abs(self.high))
        if 1e5 <= largest < 1e15:
            size, suffix = next(pair for pair in _SUFFIXES if largest >= pair[0])
            return f"{value / size:.{_decimals(self.step / size)}f}{suffix}"
        if 1e-4 <= largest < 1e5:
            return f"{value:.{_decimals(self.step)}f}"
        digits = math.floor(math.log10(largest)) - math.floor(math.log10(self.step)) + 1
        return f"{value:.{min(max(digits, 1), 15)}g}"


def axis(
    values: Iterable[float], *, ticks: int, with_zero: bool = False, whole: bool = False, round_ends: bool = False
) -> Axis:
    """Return an axis for finite values; none at all gives 0 to 1.

    ticks: about how many. with_zero: start bars at 0. whole: ticks only at whole numbers, such as steps. round_ends:
    end at ticks on both sides.
    """
    there = list(values)
    low, high = (min(there), max(there)) if there else (0.0, 1.0)
    if with_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    low, high = _widened(low, high, whole)
    step = _nice((high / 2 - low / 2) / ticks * 2)
    if whole:
        step = max(step, 1.0)
    if round_ends:
        low, high = _rounded(low, high, step)
    return Axis(low, high, _ticks(low, high, step), step)


def _widened(low: float, high: float, whole: bool) -> tuple[float, float]:
    """Return a range that is wide enough to be divided."""
    least = max(abs(low), abs(high)) * 1e-9
    if high / 2 - low / 2 > max(least, 1e-300):
        return low, high
    margin = max(abs(low) * (1e-6 if whole else 0.1), 1.0 if whole or low == high == 0 else 1e-290)
    return max(low - margin, -_LARGEST), min(high + margin, _LARGEST)


def _rounded(low: float, high: float, step: float) -> tuple[float, float]:
    """Return the ticks next outside of a range, or the range where they are beyond the largest float."""
    below, above = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return (below, above) if math.isfinite(below) and math.isfinite(above) and below < above else (low, high)


def _nice(step: float) -> float:
    """Return the next of 1, 2, 5, 10, 20 ... that is not below a step."""
    if not 0 < step < _INFINITY:
        return 1.0
    power = 10.0 ** math.floor(math.log10(step))
    if power == 0:
        return step
    return next((power * factor for factor in (1, 2, 5) if power * factor >= step * 0.999), power * 10)


def _ticks(low: float, high: float, step: float) -> tuple[float, ...]:
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return tuple(number * step for number in range(first, min(last, first + 20) + 1))


def _decimals(step: float) -> int:
    return min(max(0, -math.floor(math.log10(step) + 1e-9)), 8)
