"""What the daemon is killed during: a small session, sent as a sender sends it, from wherever the daemon stands."""

from __future__ import annotations

from pathlib import Path

import grpc
import logged
import numpy as np
import xxhash

from contexta.v1 import capture_pb2 as pb
from contexta.v1 import capture_pb2_grpc
from contexta_client.launch import Endpoint, read_endpoint

SESSION = bytes(range(16))
BATCHES = 12
EACH = 25
STEPS = BATCHES * EACH
TIMEOUT_S = 20.0


class CutOffError(Exception):
    """The daemon went away; `acknowledged` is what it said until then, as `play` returns it."""

    def __init__(self, acknowledged: list[int], reason: str) -> None:
        super().__init__(reason)
        self.acknowledged = acknowledged


def script() -> list[tuple[bytes, int]]:
    """Return the bodies of the session and how many items each holds."""
    opening = [
        logged.session_opened(),
        logged.run_opened(1, "run:k.r"),
        logged.key_defined(1, "loss"),
    ]
    bodies = [pb.RawBatch(entries=[entry.SerializeToString() for entry in opening])]
    for batch in range(BATCHES):
        steps = np.arange(batch * EACH, (batch + 1) * EACH)
        bodies.append(pb.RawBatch(columns=[logged.columns(steps / 7, series=(1, 1), step=steps + 1)]))
    ending = [logged.scope_closed(1), logged.session_ended()]
    bodies.append(pb.RawBatch(entries=[entry.SerializeToString() for entry in ending]))
    return [(body.SerializeToString(), logged.items_of(body)) for body in bodies]


def play(workspace: Path) -> list[int]:
    """Send what the daemon does not have yet, settle, close.

    Return how many items it said to have: when the session was opened, then with each answer. Raises CutOffError when
    it goes away meanwhile.
    """
    endpoint = read_endpoint(workspace)
    if endpoint is None:
        raise CutOffError([], "no daemon is announced")
    acknowledged: list[int] = []
    try:
        with grpc.insecure_channel(f"unix:{endpoint.socket}", options=[("grpc.enable_retries", 0)]) as channel:
            _send(capture_pb2_grpc.CaptureStub(channel), endpoint, acknowledged)
    except grpc.RpcError as error:
        raise CutOffError(acknowledged, str(error)) from error
    return acknowledged


def _send(stub: capture_pb2_grpc.CaptureStub, endpoint: Endpoint, acknowledged: list[int]) -> None:
    options = {
        "timeout": TIMEOUT_S,
        "metadata": (("contexta-token", endpoint.token), ("contexta-protocol", "1")),
    }
    there = stub.OpenSession(pb.OpenSessionRequest(session_id=SESSION), **options)
    acknowledged.append(there.next_sequence)
    if there.closed:
        return
    sequence = 0
    for body, count in script():
        if sequence >= there.next_sequence:
            checksum = xxhash.xxh3_64_intdigest(body)
            request = pb.AppendRequest(
                session_id=SESSION, first_sequence=sequence, count=count, checksum=checksum, body=body
            )
            acknowledged.append(stub.Append(request, **options).next_sequence)
        sequence += count
    stub.Settle(pb.SettleRequest(session_id=SESSION, sequence=sequence, timeout_ms=int(TIMEOUT_S * 500)), **options)
    stub.CloseSession(pb.CloseSessionRequest(session_id=SESSION, sequence=sequence), **options)
