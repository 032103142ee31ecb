"""Waiting until the sender has delivered: by the words of the spool's header, without an RPC and without a thread."""

from __future__ import annotations

from time import monotonic, sleep

from . import spool_format as fmt
from .sender_start import SenderStart
from .stream import Stream

FIRST_NAP_S = 0.0002
LONGEST_NAP_S = 0.005
LOOK_EVERY_S = 0.5  # at the sender's life, while waiting
UNREACHABLE_S = 1.5  # no wait at an end is longer when the daemon is known to be away
AGAIN_S = 0.2  # nor is the next one, so that all of them together stay within 2 s

FLUSH = fmt.FLUSH_REQUESTED, fmt.FLUSH_DONE
SETTLE = fmt.SETTLE_REQUESTED, fmt.SETTLE_DONE


def request(stream: Stream, words: tuple[int, int]) -> int:
    """Ask the sender to deliver (FLUSH) or to deliver and settle (SETTLE) all that was captured. Returns a ticket."""
    asked, _ = words
    with stream.lock:
        stream.pay_owed()
        ticket = stream.spool.words[asked] + 1
        stream.spool.words[asked] = ticket
    return ticket


def is_answered(stream: Stream, words: tuple[int, int], ticket: int) -> bool:
    """Whether what a ticket asked for is done. Closings that wait for room are a part of it."""
    _, done = words
    if stream.owes():
        return False
    return stream.spool.words[done] >= ticket


def wait(
    stream: Stream,
    words: tuple[int, int],
    ticket: int,
    sender: SenderStart,
    timeout_s: float | None,
    *,
    unreachable_s: float | None = None,
) -> bool:
    """Wait until a ticket is answered. Returns False when the time is over, or nobody will ever answer.

    unreachable_s: the longest wait when the daemon is known to be unreachable, or no sender comes up; None: the whole
    time all the same, but not for ever where no sender comes up.
    """
    header = stream.spool.words
    started = monotonic()
    end = None if timeout_s is None else started + timeout_s
    nap_s, look_at = FIRST_NAP_S, started
    while not is_answered(stream, words, ticket):
        now = monotonic()
        if end is not None and now >= end:
            return False
        if unreachable_s is not None:
            away = header[fmt.DELIVERY_STATE] == fmt.UNREACHABLE or sender.is_missing()
        else:
            away = end is None and sender.is_missing()
        if away and now >= started + (UNREACHABLE_S if unreachable_s is None else unreachable_s):
            return False
        if now >= look_at:
            look_at = now + LOOK_EVERY_S
            if not stream.spool.exists():
                return False
            if not sender.ensure(header[fmt.HEARTBEAT_NS]):
                return False
            sender.wake()
        if stream.owes() and stream.pay_owed():
            ticket = request(stream, words)
        sleep(nap_s if end is None else min(nap_s, max(0.0, end - now)))
        nap_s = min(nap_s * 1.5, LONGEST_NAP_S)
    return True
