"""How columns of numbers stand in a batch, so that they compress well and fast. Drawn in docs/format/batch.md.

A layout is a sum of flags. The bytes of numbers are set apart into planes: first the lowest byte of each, then the next
one, so that what changes slowly lies together. Times and steps, and values where that is smaller, are replaced by
their differences before: as integers modulo 2^64, for values of their bit patterns, so that nothing is rounded.

Needs numpy; imported by sender and daemon only.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import zstandard

STEADY = 1  # time_ns and step: differences, in planes
VALUE_PLANES = 2  # value: in planes
VALUE_STEADY = 4  # value: differences of the bits, in planes; not beside VALUE_PLANES
KNOWN = STEADY | VALUE_PLANES | VALUE_STEADY
MIN_NUMBERS = 32  # fewer are not worth it
_SAMPLE = 1_024

Numbers = npt.NDArray[np.generic]
_sample_size = zstandard.ZstdCompressor(level=1)


def planes(numbers: Numbers) -> bytes:
    """Return the bytes of 8-byte numbers, plane by plane."""
    data = np.ascontiguousarray(numbers).reshape(-1)
    return data.view(np.uint8).reshape(-1, 8).T.tobytes()


def steady_planes(numbers: Numbers) -> bytes:
    """Return the differences of 8-byte numbers from the one before, the first from 0, plane by plane."""
    bits = np.ascontiguousarray(numbers).reshape(-1).view(np.uint64)
    differences = np.empty_like(bits)
    differences[:1] = bits[:1]
    np.subtract(bits[1:], bits[:-1], out=differences[1:])
    return planes(differences)


def from_planes(data: bytes) -> npt.NDArray[np.uint64]:
    """Undo `planes`. Raises ValueError where the bytes are no whole numbers."""
    apart = np.frombuffer(data, np.uint8).reshape(8, -1)
    return np.ascontiguousarray(apart.T).view(np.uint64).reshape(-1)


def from_steady_planes(data: bytes) -> npt.NDArray[np.uint64]:
    """Undo `steady_planes`. Raises ValueError where the bytes are no whole numbers."""
    return np.cumsum(from_planes(data), dtype=np.uint64)


def value_layout(values: npt.NDArray[np.float64]) -> int:
    """Return the flag under which a sample of the values takes the least room: 0, VALUE_PLANES or VALUE_STEADY.

    Rounded values repeat as whole numbers, and are best left as they are; noise in every bit differs only in its low
    planes; what changes smoothly has small differences.
    """
    sample = np.ascontiguousarray(values.reshape(-1)[:_SAMPLE])
    forms = {0: sample.tobytes(), VALUE_PLANES: planes(sample), VALUE_STEADY: steady_planes(sample)}
    return min(forms, key=lambda flag: len(_sample_size.compress(forms[flag])))
