"""Fuzzing every call of every service of a real daemon, and every batch that a sender could have it keep."""

from __future__ import annotations

import random
import threading
from collections import deque
from pathlib import Path
from typing import Any

import grpc
from daemon_process import DaemonProcess
from fuzz_batches import items_in
from fuzz_messages import fill
from fuzz_mutations import mutate
from google.protobuf import message_factory
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from hostile_logs import peak_bytes
from logged import columns, entry, items_of, key_defined, run_opened, scope_opened, session_opened
from waiting import wait_until

from contexta.v1 import capture_pb2, query_pb2, status_pb2, store_pb2

FILES = (capture_pb2, query_pb2, store_pb2, status_pb2, health_pb2, reflection_pb2)
NEWER = {"grpc.health.v1.Health.List"}  # not in the oldest versions; inputs name a call by its number
METHODS = [
    (service.full_name, method)
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
    if method.full_name not in NEWER
]
APPEND_WELL = len(METHODS)  # instead of a call: a body, appended as a sender would, whatever it holds
FAULTS = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED)
PATIENT = {"Settle", "Tail", "Watch"}  # they may wait for something
CHECK_EVERY = 50
STEPS = 50
SESSION = bytes(range(16))


class Rpcs:
    """The first byte says which call, the others are its request. No request is a fault of the daemon."""

    name = "rpc"

    def __init__(self, folder: Path) -> None:
        self._daemon = DaemonProcess(folder / "ws", config={"capture": {"local_jsonl": True}}).serves()
        # What it says has to be read, or it would wait for that.
        self._said: deque[str] = deque(maxlen=100)
        self._listener = threading.Thread(target=self._said.extend, args=(self._daemon.process.stderr,), daemon=True)
        self._listener.start()
        record = self._daemon.record
        self._calls = self._daemon.calls()
        self._channel = grpc.insecure_channel(f"unix:{record['socket']}")
        self._count = self._sessions = 0
        self._capture()
        self.baseline = peak_bytes(self._daemon.process.pid)

    def _capture(self) -> None:
        begin = [session_opened(), run_opened(1, "run:demo.r"), key_defined(1, "loss")]
        begin.append(scope_opened(2, 1, "stage", "stage:demo.r.train"))
        values = columns([1 / (step + 1) for step in range(STEPS)], series=(2, 1), step=range(1, STEPS + 1))
        body = capture_pb2.RawBatch(entries=[each.SerializeToString() for each in begin], columns=[values])
        self._calls.append(SESSION, 0, items_of(body), body.SerializeToString())

    def run(self, data: bytes) -> bool:
        self._count += 1
        number = (data[0] if data else 0) % (len(METHODS) + 1)
        taken = self._append(data[1:]) if number == APPEND_WELL else self._call(*METHODS[number], data[1:])
        if self._count % CHECK_EVERY == 0:
            self.check()
        return taken

    def make(self, chance: random.Random, seeds: list[bytes]) -> bytes:
        """Every second one is a message that says what it may; the others are seeds that were changed."""
        if chance.random() < 0.5:
            return mutate(chance, chance.choice(seeds), seeds)
        number = chance.randrange(len(METHODS) + 8)
        if number >= APPEND_WELL:
            entries = [fill(capture_pb2.Entry(), chance).SerializeToString() for _ in range(chance.choice((1, 5)))]
            return bytes([APPEND_WELL]) + capture_pb2.RawBatch(entries=entries).SerializeToString()
        return bytes([number]) + request_of(number, chance)

    def _call(self, service: str, method: Any, body: bytes) -> bool:
        if method.name == "Stop" and _parses(method, body):
            return False
        timeout = 1 if method.name in PATIENT else 60
        try:
            path = f"/{service}/{method.name}"
            if method.client_streaming:
                call = self._channel.stream_stream(path)
                answers = call(iter([body]), metadata=self._calls.metadata, timeout=timeout)
            elif method.server_streaming:
                answers = self._channel.unary_stream(path)(body, metadata=self._calls.metadata, timeout=timeout)
            else:
                self._channel.unary_unary(path)(body, metadata=self._calls.metadata, timeout=timeout)
                return True
            next(answers, None)
            answers.cancel()
        except grpc.RpcError as error:
            malformed_of_others = not service.startswith("contexta.") and error.code() != grpc.StatusCode.UNAVAILABLE
            assert error.code() not in FAULTS or malformed_of_others, f"{method.name}: {error.code()} {error.details()}"
            late = error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
            assert not late or method.name in PATIENT, f"{method.name} takes over {timeout} s"
            return False
        return True

    def _append(self, body: bytes) -> bool:
        self._sessions += 1
        session = b"fuzz" + self._sessions.to_bytes(12, "little")
        begin = [session_opened(), run_opened(1, f"run:demo.f{self._sessions}"), key_defined(1, "loss")]
        defined = capture_pb2.RawBatch(entries=[each.SerializeToString() for each in begin]).SerializeToString()
        self._calls.append(session, 0, len(begin), defined)
        self._calls.append(session, len(begin), items_in(body), body)
        return True

    def check(self) -> None:
        """It is the same daemon, it follows, and it answers a valid question as it did."""
        assert self._daemon.process.poll() is None, "the daemon has ended"

        def follows() -> bool:
            return all(each.lag_bytes == 0 for each in self._calls.status().followers if each.name != "columns")

        wait_until(follows)
        problems = [(each.name, each.problem) for each in self._calls.status().followers if each.problem]
        assert not problems, problems
        request = query_pb2.GetStepSeriesRequest(run_id="run:demo.r", metric_key="loss", attempt=1)
        answer = self._calls.query.GetStepSeries(request, metadata=self._calls.metadata, timeout=60)
        assert answer.total_points >= STEPS

    @property
    def grown_bytes(self) -> int:
        """By how much the daemon's memory has grown at most."""
        return peak_bytes(self._daemon.process.pid) - self.baseline

    def close(self) -> None:
        self._channel.close()
        self._calls._channel.close()
        self._daemon.process.kill()
        self._listener.join()
        self._daemon.kill()


def request_of(number: int, chance: random.Random) -> bytes:
    kind = message_factory.GetMessageClass(METHODS[number][1].input_type)
    return bytes(fill(kind(), chance).SerializeToString())


def _parses(method: Any, body: bytes) -> bool:
    try:
        message_factory.GetMessageClass(method.input_type).FromString(body)
    except DecodeError:
        return False
    return True


def valid_calls() -> dict[str, bytes]:
    """A request of each call, and a body."""
    found = {}
    for number, (service, method) in enumerate(METHODS):
        name = f"{service.rpartition('.')[2]}-{method.name}"
        found[name] = bytes([number]) + request_of(number, random.Random(name))
    steps = capture_pb2.RawBatch(columns=[columns([1.0, 2.0], series=(1, 1))], entries=[entry().SerializeToString()])
    return {**found, "append": bytes([APPEND_WELL]) + steps.SerializeToString()}
