"""What a daemon is broken during: metrics, artifacts, puts and questions, said as a sender and a program say them.

Whoever plays it remembers what was acknowledged, so that the next daemon can be asked for the rest and held to it.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import logged
import numpy as np
import xxhash

from contexta.contract import MetricPayload, MetricRecord, Project, RecordEnvelope
from contexta.v1 import capture_pb2 as pb
from contexta.v1 import capture_pb2_grpc, query_pb2, query_pb2_grpc, store_pb2, store_pb2_grpc
from contexta_client.launch import read_endpoint

SESSION = bytes(range(16))
BATCHES = 12
EACH = 40
STEPS = BATCHES * EACH
ASKED_AFTER = (1, 3, 5, 7, 8, 9, 10, 11)  # batches after which metrics are asked for: a file each, eight are merged
ARTIFACTS_IN = {2: 2, 9: 1}  # batch: how many files are registered with it
PUTS_AFTER = (4, 10)
TIMEOUT_S = 20.0
REFUSED_S = 20.0  # a daemon that lives and takes nothing for longer does not go on


class CutOffError(Exception):
    """The daemon went away, or does not go on."""


class Play:
    """One session with any number of daemons after each other. What was acknowledged only grows."""

    def __init__(self, files: Path, *, asks: bool = False) -> None:
        """files: the folder where the artifacts lie, the same for all rounds. asks: put the questions too, which take
        most of the time; else the columns get their one file when the daemon ends."""
        self.asked_after = ASKED_AFTER if asks else ()
        self.acknowledged = 0  # items of the session
        self.put: set[str] = set()  # records that were put and acknowledged
        self.refusals: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.bodies = script(files)

    def go_on(self, workspace: Path, *, lives: Callable[[], bool], stop_after: int | None = None) -> None:
        """Say what the daemon of a workspace does not have yet, up to the end of the session or some batches.

        lives: tells whether the daemon is still there. Raises CutOffError.
        """
        endpoint = read_endpoint(workspace)
        if endpoint is None:
            raise CutOffError("no daemon is announced")
        options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(f"unix:{endpoint.socket}", options=options) as channel:
            talk = _Talk(channel, endpoint.token, lives, self.refusals)
            self._from_where_it_stands(talk, stop_after)

    def _from_where_it_stands(self, talk: _Talk, stop_after: int | None) -> None:
        there = talk.ask(talk.capture.OpenSession, pb.OpenSessionRequest(session_id=SESSION))
        if there.next_sequence < self.acknowledged:
            self.wrong.append(f"{self.acknowledged} items were acknowledged, the next daemon has {there.next_sequence}")
        self.acknowledged = max(self.acknowledged, there.next_sequence)
        if stop_after == 0:
            return
        first = 0
        for number, (body, count) in enumerate(self.bodies):
            if first >= there.next_sequence and not there.closed:
                self._append(talk, body, count, first)
            if number <= BATCHES:
                self._beside(talk, number - 1)
            first += count
            if number == stop_after:
                return
        settle = pb.SettleRequest(session_id=SESSION, sequence=first, timeout_ms=int(TIMEOUT_S * 500))
        if not talk.ask(talk.capture.Settle, settle).settled:
            raise CutOffError("it does not settle")
        talk.ask(talk.capture.CloseSession, pb.CloseSessionRequest(session_id=SESSION, sequence=first))

    def _append(self, talk: _Talk, body: bytes, count: int, first: int) -> None:
        checksum = xxhash.xxh3_64_intdigest(body)
        request = pb.AppendRequest(session_id=SESSION, first_sequence=first, count=count, checksum=checksum, body=body)
        answered = talk.ask(talk.capture.Append, request).next_sequence
        if answered != first + count:
            self.wrong.append(f"{count} items behind {first} were sent, {answered} acknowledged")
        self.acknowledged = max(self.acknowledged, answered)

    def _beside(self, talk: _Talk, batch: int) -> None:
        """What a program does beside the sender, after a batch."""
        if batch in PUTS_AFTER:
            talk.ask(talk.store.PutModels, store_pb2.PutModelsRequest(models=[project(batch)]))
            for each in records(batch):
                reply = talk.ask(talk.store.PutRecords, store_pb2.PutRecordsRequest(records=[each]))
                if each.ref in self.put and not reply.receipts[0].duplicate:
                    self.wrong.append(f"{each.ref} was put, and the daemon does not have it")
                self.put.add(each.ref)
        if batch in self.asked_after:
            question = query_pb2.SqlRequest(text="SELECT count(*) FROM metrics WHERE metric_key = 'loss'")
            pages = talk.ask(lambda *given, **more: list(talk.query.Sql(*given, **more)), question)
            self._compare(pages, (batch + 1) * EACH)

    def _compare(self, pages: list[Any], at_least: int) -> None:
        ((count,),) = [row for page in pages for row in json.loads(page.rows_json or "[]")]
        if not at_least <= count <= STEPS:
            self.wrong.append(f"asked for its metrics, it counts {count}; it has {at_least}")


class _Talk:
    """Calls that are repeated while the daemon lives and refuses, as every client repeats them."""

    def __init__(self, channel: grpc.Channel, token: str, lives: Callable[[], bool], refusals: Counter[str]) -> None:
        self.capture = capture_pb2_grpc.CaptureStub(channel)
        self.store = store_pb2_grpc.StoreStub(channel)
        self.query = query_pb2_grpc.QueryStub(channel)
        self._options = {"timeout": TIMEOUT_S, "metadata": (("contexta-token", token), ("contexta-protocol", "1"))}
        self._lives = lives
        self._refusals = refusals

    def ask(self, call: Callable[..., Any], request: Any) -> Any:
        until = time.monotonic() + REFUSED_S
        while True:
            try:
                return call(request, **self._options)
            except grpc.RpcError as error:
                if not self._lives():
                    raise CutOffError("the daemon died") from error
                why = f"{error.code().name}: {error.details()}"
                self._refusals[why] += 1
                if time.monotonic() > until:
                    raise CutOffError(f"refused for {REFUSED_S:.0f} s: {why}") from error
            time.sleep(0.05)


def script(files: Path) -> list[tuple[bytes, int]]:
    """Return the bodies of the session and how many items each holds."""
    opening = [logged.session_opened(), logged.run_opened(1, "run:k.r"), logged.key_defined(1, "loss")]
    bodies = [pb.RawBatch(entries=[entry.SerializeToString() for entry in opening])]
    paths = iter(artifact_files(files))
    for batch in range(BATCHES):
        steps = np.arange(batch * EACH, (batch + 1) * EACH)
        registered = [_registered(next(paths)) for _ in range(ARTIFACTS_IN.get(batch, 0))]
        columns = logged.columns(values(steps), series=(1, 1), step=steps + 1)
        bodies.append(pb.RawBatch(entries=[each.SerializeToString() for each in registered], columns=[columns]))
    ending = [logged.scope_closed(1), logged.session_ended()]
    bodies.append(pb.RawBatch(entries=[entry.SerializeToString() for entry in ending]))
    return [(body.SerializeToString(), logged.items_of(body)) for body in bodies]


def values(steps: Any) -> Any:
    """Return doubles of which no two are equal, over many exponents, and which do not compress away."""
    return np.ldexp(1.0 + steps / 7, steps % 600 - 300)


def artifact_files(files: Path) -> list[Path]:
    """Return the files that are registered, made when they are not there."""
    made = []
    for number in range(sum(ARTIFACTS_IN.values())):
        path = files / f"artifact-{number}.bin"
        if not path.exists():
            path.write_bytes(bytes([65 + number]) * (10_000 * (number + 1)))
        made.append(path)
    return made


def _registered(path: Path) -> pb.Entry:
    found = path.stat()
    return logged.entry(
        artifact_registered=pb.ArtifactRegistered(
            scope_id=1, ref=f"artifact:k.r.{path.stem}", artifact_kind="model", path=str(path), exists=True,
            size_bytes=found.st_size, modified_ns=found.st_mtime_ns, inode=found.st_ino, compute_hash=True,
        )
    )  # fmt: skip


def project(batch: int) -> pb.ModelStored:
    """Return the project of its second name, or later of its third."""
    model = Project(project_ref="project:put", name=f"after {batch}", created_at="2026-01-01T00:00:00Z")
    return pb.ModelStored(model="Project", ref=model.project_ref, json=model.to_json())


def records(batch: int) -> list[pb.RecordStored]:
    """Return metrics that are put after a batch."""
    found = []
    for number in range(2):
        ref = f"record:k.r.put-{batch}-{number}"
        envelope = RecordEnvelope(
            record_ref=ref, record_type="metric", recorded_at="2026-01-01T00:00:01Z", run_ref="run:k.r",
            observed_at="2026-01-01T00:00:01Z", producer_ref="contexta.torture",
        )  # fmt: skip
        payload = MetricPayload(metric_key="put", value=float(number), value_type="float64")
        text = MetricRecord(envelope=envelope, payload=payload).to_json()
        found.append(pb.RecordStored(ref=ref, record_type="metric", json=text))
    return found


PUT_RECORDS = [each.ref for batch in PUTS_AFTER for each in records(batch)]
