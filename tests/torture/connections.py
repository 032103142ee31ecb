"""Connections that a client would not make: idle, half open, slow, with headers and bodies without end. Beside each the
daemon answers, and afterwards it is as small as before, its descriptors are closed and nothing is lost."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from daemon_process import Calls, DaemonProcess
from logged import session_opened
from rig import Trial, folder, processes

from contexta.v1.capture_pb2 import Batch, Dropped, Entry

MAX_GROWTH = 32 << 20
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, CONTINUATION = 0, 1, 3, 4, 6, 9
END_STREAM, END_HEADERS = 1, 4
LIST_RUNS, APPEND = b"/contexta.v1.Query/ListRuns", b"/contexta.v1.Capture/Append"
WATCH = b"/grpc.health.v1.Health/Watch"


def frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + body


def text(value: bytes) -> bytes:
    """A text in HPACK, not compressed."""
    length, left = b"", len(value) - 127
    if left < 0:
        return bytes([len(value)]) + value
    while left >= 128:
        length += bytes([left % 128 + 128])
        left //= 128
    return b"\x7f" + length + bytes([left]) + value


def header(name: bytes, value: bytes, *, indexed: bool = False) -> bytes:
    return (b"\x40" if indexed else b"\x00") + text(name) + text(value)


def call(method: bytes, more: bytes = b"") -> bytes:
    fields = {b":method": b"POST", b":scheme": b"http", b":path": method, b":authority": b"x", b"te": b"trailers",
              b"content-type": b"application/grpc"}  # fmt: skip
    return b"".join(header(name, value) for name, value in fields.items()) + more


class Attack:
    """Ways to hold a daemon's attention. Each returns when the daemon takes no more, or all was sent."""

    def __init__(self, path: str, token: bytes, amount: int) -> None:
        self.path, self.token, self.amount = path, header(b"contexta-token", token), amount
        self.open: list[socket.socket] = []

    def connect(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(0.5)
        made.connect(self.path)
        self.open.append(made)
        return made

    def each(self, connections: int, send: Callable[[socket.socket], None]) -> None:
        for _ in range(connections):
            made = self.connect()
            with contextlib.suppress(OSError):  # the daemon closed it, or takes no more
                made.sendall(PREFACE + frame(SETTINGS, 0, 0))
                send(made)

    def streams(self, connections: int, parts: Callable[[int], bytes], count: int | None = None) -> None:
        def send(made: socket.socket) -> None:
            for number in range(count or self.amount):
                made.sendall(parts(2 * number + 1))

        self.each(connections, send)

    def close(self) -> None:
        for made in self.open:
            made.close()

    def connections_that_say_nothing(self) -> None:
        for _ in range(4 * self.amount):
            self.connect()

    def connections_without_a_call(self) -> None:
        self.each(4 * self.amount, lambda made: None)

    def calls_that_never_end(self) -> None:
        self.streams(8, lambda stream: frame(HEADERS, END_HEADERS, stream, call(LIST_RUNS)))

    def calls_that_are_only_watched(self) -> None:
        self.streams(8, lambda stream: frame(HEADERS, END_HEADERS, stream, call(WATCH)))

    def calls_given_up_at_once(self) -> None:
        given_up = struct.pack(">I", 8)
        self.streams(
            4,
            lambda stream: frame(HEADERS, END_HEADERS | END_STREAM, stream, call(LIST_RUNS, self.token))
            + frame(RESET, 0, stream, given_up),
            10 * self.amount,
        )

    def headers_of_all_lengths(self) -> None:
        for length in (1_000, 7_000, 15_000, 60_000):
            block = call(LIST_RUNS, header(b"contexta-token", b"y" * length))[:65_000]
            self.streams(4, lambda stream, block=block: frame(HEADERS, END_HEADERS, stream, block[:16_384]))

    def headers_without_end(self) -> None:
        def send(made: socket.socket) -> None:
            made.sendall(frame(HEADERS, 0, 1, call(LIST_RUNS)))
            for number in range(20 * self.amount):
                made.sendall(frame(CONTINUATION, 0, 1, header(b"x%d" % number, b"v" * 16_000)))

        self.each(4, send)

    def headers_that_fill_the_table(self) -> None:
        block = call(LIST_RUNS, b"".join(header(b"x%d" % n, b"v" * 4_000, indexed=True) for n in range(3)))
        self.streams(8, lambda stream: frame(HEADERS, END_HEADERS, stream, block))

    def bodies_that_never_end(self) -> None:
        """Each says that 16 MiB follow, and sends of them what the daemon's windows let it."""
        for more in (b"", self.token):
            self.each(4, lambda made, more=more: self._bodies(made, more))

    def _bodies(self, made: socket.socket, more: bytes) -> None:
        streams = range(1, 40, 2)
        for stream in streams:
            made.sendall(frame(HEADERS, END_HEADERS, stream, call(APPEND, more)))
        for turn in range(10 * self.amount):
            for stream in streams:
                made.sendall(frame(DATA, 0, stream, b"\0\1\0\0\0" + bytes(16_379) if turn == 0 else bytes(16_384)))

    def pings_and_settings(self) -> None:
        self.each(2, lambda made: made.sendall(frame(PING, 0, 0, bytes(8)) * 100 * self.amount))
        self.each(2, lambda made: made.sendall(frame(SETTINGS, 0, 0, b"\0\3\0\0\1\0") * 100 * self.amount))


ATTACKS = (
    Attack.connections_that_say_nothing, Attack.connections_without_a_call, Attack.calls_that_never_end,
    Attack.calls_that_are_only_watched, Attack.calls_given_up_at_once, Attack.headers_of_all_lengths,
    Attack.headers_without_end, Attack.headers_that_fill_the_table, Attack.bodies_that_never_end,
    Attack.pings_and_settings,
)  # fmt: skip


def run(trial: Trial) -> None:
    turns, amount = (1, 50) if trial.short else (10, 200)
    with folder(trial) as place, contextlib.ExitStack() as stack:
        daemon = DaemonProcess(place / "ws", config={"daemon": {"socket_dir": str(place / "s")}})
        stack.callback(daemon.kill)
        calls = stack.enter_context(daemon.serves().calls())
        session = os.urandom(16)
        calls.open_session(session)
        token = (place / "ws" / "daemon" / "token").read_bytes().strip()
        sent, most = answers(trial, calls, session, 0, "ordinary work"), 0  # its first batch and question take memory
        base, files = resident(daemon), descriptors(daemon)
        for turn in range(turns):
            for way in trial.chance.sample(ATTACKS, len(ATTACKS)):
                attack = Attack(str(daemon.socket), token, amount)
                way(attack)
                most = max(most, resident(daemon) - base)
                sent = answers(trial, calls, session, sent, way.__name__)
                attack.close()
            settled(trial, daemon, base, files)
            trial.say(f"{turn + 1} of {turns} turns; {(resident(daemon) - base) / (1 << 20):+.1f} MiB")
        trial.figure(
            f"{turns} turns of {len(ATTACKS)} attacks; {sent} batches between them; at most "
            f"{most / (1 << 20):.0f} MiB more meanwhile, {(resident(daemon) - base) / (1 << 20):+.0f} MiB afterwards"
        )


def answers(trial: Trial, calls: Calls, session: bytes, sent: int, what: str) -> int:
    """Whether a proper client is served beside the attack. Returns how many batches are durable."""
    entry = session_opened() if sent == 0 else Entry(time_ns=sent, dropped=Dropped(reason="x", metrics_total=sent))
    try:
        return calls.append(session, sent, 1, Batch(entries=[entry]).SerializeToString())
    except Exception as error:
        trial.check(False, f"no answer beside {what}: {error}")
        return sent


def settled(trial: Trial, daemon: DaemonProcess, base: int, files: int) -> None:
    for look, bound, what in ((descriptors, files + 20, "descriptors"), (resident, base + MAX_GROWTH, "bytes")):
        try:
            # The daemon looks for memory to give back once a minute at least.
            processes.until(lambda look=look, bound=bound: look(daemon) <= bound, 100.0, what)
        except TimeoutError:
            trial.check(False, f"{look(daemon)} {what} are held after the connections are closed, not {bound}")


def resident(daemon: DaemonProcess) -> int:
    return int(Path(f"/proc/{daemon.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(daemon: DaemonProcess) -> int:
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))
