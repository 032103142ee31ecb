"""The programs that write while the power goes: each counts in mapped memory what was acknowledged to be durable.

What they write follows from its number, so that whoever reads it later needs no other witness.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import logged
import numpy as np
import xxhash
from kills import value
from rig import Shared

from contexta import Contexta
from contexta.contract import ArtifactManifest, MetricPayload, MetricRecord, Project, RecordEnvelope
from contexta.errors import ContextaError
from contexta.v1 import capture_pb2 as pb
from contexta.v1 import capture_pb2_grpc
from contexta_client.launch import read_endpoint

# Words of the mapped memory. All but the first count what was acknowledged.
RETURNED, FLUSHED, FLUSHED_EVENTS, APPENDED, MODELS, RECORDS, ARTIFACTS, REPLACED = range(8)
EVENT_EVERY, EACH = 20, 10
DEFINED = 3  # entries before the first point of an appended session
WHEN = "2026-01-31T09:00:00Z"
SIZES = (0, 1, 300, 5000, 70_000)


def config(segment_bytes: int) -> dict[str, Any]:
    return {"project_name": "k", "records": {"segment_bytes": segment_bytes}, "capture": {"exit_timeout_s": 0.5}}


def capture(workspace: str, shared: str, name: str, segment_bytes: str, pace: str) -> None:
    """Capture at a pace, and flush now and then."""
    done, chance = Shared(Path(shared)), random.Random(name)
    ctx = Contexta(workspace=workspace, config=config(int(segment_bytes)))
    stage = ctx.run(name).stage("train")
    step = 0
    while True:
        stage.metric("loss", value(step), step=step)
        if step % EVENT_EVERY == 0:
            stage.event("note", message=str(step // EVENT_EVERY))
        step += 1
        done[RETURNED] = step
        if chance.random() < 0.01:
            with contextlib.suppress(ContextaError):
                ctx.flush(1.0)
                done[FLUSHED_EVENTS], done[FLUSHED] = (step - 1) // EVENT_EVERY + 1, step
        end = time.perf_counter() + float(pace)
        while time.perf_counter() < end:
            pass


def put(workspace: str, shared: str, name: str, segment_bytes: str, scratch: str) -> None:
    """Put models, records and artifacts, one of each a turn; again while the daemon is away."""
    done = Shared(Path(shared))
    ctx = Contexta(workspace=workspace, config=config(int(segment_bytes)))
    source = Path(scratch) / "source"
    turn: list[tuple[int, Callable[[int], object]]] = [
        (MODELS, lambda number: ctx.metadata_store.projects.put_project(project(name, number))),
        (RECORDS, lambda number: ctx.record_store.append(record(name, number))),
        (ARTIFACTS, lambda number: ctx.artifact_store.put_artifact(manifest(name, number), source)),
        (REPLACED, lambda _: ctx.artifact_store.put_artifact(manifest(name, -1), source, replace_existing=True)),
    ]
    for number in count():
        source.write_bytes(content(name, number))
        for place, act in turn:
            while done[place] == number:
                with contextlib.suppress(ContextaError):
                    act(number)
                    done[place] = number + 1


def append(workspace: str, shared: str, name: str, segment_bytes: str, _: str) -> None:
    """Append as a sender does, a body at a time, going on where the daemon says that the session stands."""
    done = Shared(Path(shared))
    while True:
        endpoint = read_endpoint(Path(workspace))
        if endpoint is None:
            time.sleep(0.01)
            continue
        with contextlib.suppress(grpc.RpcError), grpc.insecure_channel(f"unix:{endpoint.socket}") as channel:
            stub = capture_pb2_grpc.CaptureStub(channel)
            more = {"timeout": 2.0, "metadata": (("contexta-token", endpoint.token), ("contexta-protocol", "1"))}
            at = stub.OpenSession(pb.OpenSessionRequest(session_id=session_id(name)), **more).next_sequence
            while True:
                done[APPENDED] = max(done[APPENDED], at)
                body, items = appended(name, at)
                request = pb.AppendRequest(
                    session_id=session_id(name), first_sequence=at, count=items,
                    checksum=xxhash.xxh3_64_intdigest(body), body=body,
                )  # fmt: skip
                at = stub.Append(request, **more).next_sequence


def session_id(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=16).digest()


def appended(name: str, at: int) -> tuple[bytes, int]:
    """Return the body that begins at an item of the session, and how many items it has."""
    if at == 0:
        opening = [logged.session_opened(), logged.run_opened(1, f"run:k.{name}-raw"), logged.key_defined(1, "loss")]
        body = pb.RawBatch(entries=[entry.SerializeToString() for entry in opening])
    else:
        steps = np.arange(at - DEFINED, at - DEFINED + EACH)
        body = pb.RawBatch(columns=[logged.columns(steps / 7, series=(1, 1), step=steps + 1)])
    return body.SerializeToString(), logged.items_of(body)


def content(name: str, number: int) -> bytes:
    size = SIZES[number % len(SIZES)]
    return random.Random(f"{name}/{number}").randbytes(size) + f"{name}/{number}".encode()


def project(name: str, number: int) -> Project:
    return Project(project_ref=f"project:{name}-{number}", name=f"{name} {number}", created_at=WHEN)


def record(name: str, number: int) -> MetricRecord:
    envelope = RecordEnvelope(
        record_ref=f"record:k.{name}-put.m{number}", record_type="metric", recorded_at=WHEN, observed_at=WHEN,
        producer_ref="torture", run_ref=f"run:k.{name}-put", stage_execution_ref=f"stage:k.{name}-put.train",
    )  # fmt: skip
    payload = MetricPayload(metric_key="score", value=number / 7, value_type="float64")
    return MetricRecord(envelope=envelope, payload=payload)


def artifact_ref(name: str, number: int) -> str:
    return f"artifact:k.{name}-put.{'latest' if number < 0 else f'a{number}'}"


def manifest(name: str, number: int) -> ArtifactManifest:
    return ArtifactManifest(
        artifact_ref=artifact_ref(name, number), artifact_kind="model", created_at=WHEN, producer_ref="torture",
        run_ref=f"run:k.{name}-put", location_ref="path:/somewhere",
    )  # fmt: skip


def main(arguments: list[str]) -> None:
    kind, *rest = arguments
    {"capture": capture, "put": put, "append": append}[kind](*rest)
