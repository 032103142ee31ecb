"""Every question and every put, asked with whatever fits a message and with bytes that are none: each gets an answer or
an error of the caller's, and none is a fault of the daemon."""

import json
import random
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory
from served import Served

from contexta.v1 import query_pb2, store_pb2

SERVICES = (query_pb2.DESCRIPTOR.services_by_name["Query"], store_pb2.DESCRIPTOR.services_by_name["Store"])
TEXTS = [
    "", "r", "run:demo.r", "run:demo.x", "demo", "loss", "train", "latest", "snapshot", "html", "upstream", "{}", "[]",
    "null", '{"a":', "Run", "MetricRecord", "'; drop table runs", "\x00", "é" * 300, "a" * 5_000, "run:", "..", "%",
    "metric", "gt", "SELECT 1", "NaN", "2026-01-01T00:00:00Z", "9999-99-99",
]  # fmt: skip
FAULTS = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)


def anything(field: Any, chance: random.Random) -> Any:
    """A value that a field takes, often a strange one."""
    if field.type == field.TYPE_STRING:
        return chance.choice(TEXTS)
    if field.type == field.TYPE_BYTES:
        return chance.randbytes(chance.choice([0, 1, 8, 20, 24]))
    if field.type == field.TYPE_DOUBLE:
        return chance.choice([0.0, 1.5, float("nan"), float("inf"), -1e308])
    if field.type == field.TYPE_BOOL:
        return chance.random() < 0.5
    return chance.choice([0, 1, 2, 7, (1 << 31) - 1])


def fill(message: Any, chance: random.Random, depth: int = 0) -> Any:
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if chance.random() < 0.45 or (field.message_type is not None and depth > 3):
            continue
        if field.message_type is not None:
            part = value.add() if hasattr(value, "add") else value
            fill(part, chance, depth + 1).SetInParent()
        elif hasattr(value, "extend"):
            value.extend(anything(field, chance) for _ in range(chance.choice([1, 2, 5])))
        else:
            setattr(message, field.name, anything(field, chance))
    return message


@pytest.mark.parametrize("seed", [1, 2])
def test_no_request_is_a_fault_of_the_daemon(served: Served, seed: int) -> None:
    ctx = served.contexta()
    with ctx.run("r") as run, run.stage("train") as stage:
        for step in range(50):
            stage.metric("loss", 1.0 / (step + 1), step=step)
    ctx.list_runs()
    daemon = json.loads((served.path / "daemon" / "daemon.json").read_text())
    metadata = (("contexta-token", Path(daemon["token_file"]).read_text().strip()),)
    chance = random.Random(seed)
    pids = served.pids("daemon")
    with grpc.insecure_channel(f"unix:{daemon['socket']}") as channel:
        for service in SERVICES:
            for method in service.methods:
                kind = message_factory.GetMessageClass(method.input_type)
                bodies = [fill(kind(), chance).SerializeToString() for _ in range(4)] + [chance.randbytes(20)]
                for body in bodies:
                    code, said = ask(channel, f"/{service.full_name}/{method.name}", method, body, metadata)
                    assert code not in FAULTS, f"{method.name} with {body!r}: {said}"
    assert served.pids("daemon") == pids
    assert ctx.get_step_series("r", "loss").total_points >= 50


def ask(channel: grpc.Channel, path: str, method: Any, body: bytes, metadata: Any) -> tuple[Any, str]:
    try:
        if method.server_streaming:
            answers = channel.unary_stream(path)(body, metadata=metadata, timeout=2)
            next(answers, None)
            answers.cancel()
        else:
            channel.unary_unary(path)(body, metadata=metadata, timeout=30)
    except grpc.RpcError as error:
        return error.code(), error.details()
    return None, ""
