"""Other bytes made of given ones: what a disk, a cut, a wrong length or somebody who knows the format makes of them."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

LONGEST = 1 << 16
INTERESTING = (0, 1, 7, 8, 9, 64, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
               (1 << 63) - 1, 1 << 63, (1 << 64) - 1)  # fmt: skip
WIDTHS = {"<B": 1, "<H": 2, "<I": 4, "<Q": 8}


def mutate(chance: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Return `data` changed in a few ways; `others` are spliced in."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        chance.choice(_WAYS)(chance, changed, others)
    return bytes(changed[:LONGEST])


def _flip(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _set_byte(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))


def _set_number(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    """What a length or a count becomes: an extreme, or one beside what it was."""
    form, width = chance.choice(list(WIDTHS.items()))
    if len(data) < width:
        return
    at = chance.randrange(len(data) - width + 1)
    (before,) = struct.unpack_from(form, data, at)
    beside = before + chance.choice((-8, -1, 1, 8))
    after = chance.choice((chance.choice(INTERESTING), beside, chance.getrandbits(8 * width)))
    struct.pack_into(form, data, at, after & ((1 << 8 * width) - 1))


def _cut_end(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    del data[chance.randrange(len(data) + 1) :]


def _cut_out(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    if data:
        at = chance.randrange(len(data))
        del data[at : at + chance.choice((1, 2, 4, 8, chance.randrange(1, len(data) + 1)))]


def _insert(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    data[at:at] = chance.randbytes(chance.choice((1, 2, 4, 8, 20)))


def _repeat(chance: random.Random, data: bytearray, _: Sequence[bytes]) -> None:
    if data:
        at = chance.randrange(len(data))
        piece = data[at : at + chance.randrange(1, 65)]
        data[at:at] = piece * chance.choice((1, 2, 50))


def _splice(chance: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    other = chance.choice(others) if others else b""
    if other:
        start = chance.randrange(len(other))
        at = chance.randrange(len(data) + 1)
        piece = other[start : start + chance.choice((4, 16, len(other)))]
        data[at : at + chance.choice((0, len(piece)))] = piece


_WAYS: tuple[Callable[[random.Random, bytearray, Sequence[bytes]], None], ...] = (
    _flip, _flip, _set_byte, _set_number, _set_number, _set_number, _cut_end, _cut_out, _insert, _repeat, _splice,
)  # fmt: skip
