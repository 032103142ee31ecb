"""What any gRPC client finds: reflection, health, the token, and how bad calls are answered."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from served import Served

from contexta.v1 import capture_pb2, capture_pb2_grpc, query_pb2, query_pb2_grpc, status_pb2
from contexta_client import launch


@pytest.fixture
def daemon(served: Served):
    with served.contexta().run("one") as run:
        run.metric("x", 1.0)
    endpoint = launch.find_daemon(served.path)
    assert endpoint is not None
    with grpc.insecure_channel(f"unix:{endpoint.socket}") as channel:
        yield channel, endpoint, (("contexta-token", endpoint.token), ("contexta-protocol", "1"))


def code_of(error: grpc.RpcError) -> str:
    (data,) = [value for key, value in error.trailing_metadata() if key == "contexta-error-bin"]
    return status_pb2.ErrorDetail.FromString(data).code


def test_reflection_lists_the_services(daemon):
    channel, _, metadata = daemon
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    (reply,) = stub.ServerReflectionInfo(iter([asked]), metadata=metadata, timeout=60)
    names = {each.name for each in reply.list_services_response.service}
    assert names >= {"contexta.v1.Capture", "contexta.v1.Query", "contexta.v1.Status", "grpc.health.v1.Health"}


def test_health_needs_no_token(daemon):
    channel, _, _ = daemon
    for service in ("", "contexta.v1.Query"):
        request = health_pb2.HealthCheckRequest(service=service)
        reply = health_pb2_grpc.HealthStub(channel).Check(request, timeout=60)
        assert reply.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("token", ["", "0" * 64])
def test_a_call_without_the_workspaces_token_is_refused(daemon, token):
    channel, _, _ = daemon
    metadata = (("contexta-token", token),) if token else ()
    with pytest.raises(grpc.RpcError) as refused:
        query_pb2_grpc.QueryStub(channel).ListRuns(query_pb2.ListRunsRequest(), metadata=metadata, timeout=60)
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert code_of(refused.value) == "unauthenticated"


def test_another_protocol_is_refused_with_what_is_spoken(daemon):
    channel, endpoint, _ = daemon
    metadata = (("contexta-token", endpoint.token), ("contexta-protocol", "99"))
    with pytest.raises(grpc.RpcError, match="protocol 1 to 1") as refused:
        query_pb2_grpc.QueryStub(channel).ListRuns(query_pb2.ListRunsRequest(), metadata=metadata, timeout=60)
    assert code_of(refused.value) == "protocol_unsupported"


def test_only_the_owner_can_reach_socket_and_token(daemon):
    _, endpoint, _ = daemon
    socket = Path(endpoint.socket)
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("method", ["Append", "OpenSession", "Settle"])
def test_bytes_that_are_no_message_are_answered_and_the_daemon_goes_on(daemon, method):
    channel, _, metadata = daemon
    call = channel.unary_unary(f"/contexta.v1.Capture/{method}")
    with pytest.raises(grpc.RpcError) as refused:
        call(b"\xff" * 100, metadata=metadata, timeout=60)
    assert refused.value.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL)
    query_pb2_grpc.QueryStub(channel).ListRuns(query_pb2.ListRunsRequest(), metadata=metadata, timeout=60)


def test_a_batch_with_a_wrong_checksum_is_refused_and_nothing_of_it_is_kept(daemon):
    channel, _, metadata = daemon
    stub = capture_pb2_grpc.CaptureStub(channel)
    session = os.urandom(16)
    request = capture_pb2.AppendRequest(session_id=session, count=1, checksum=1, body=b"\x0a\x00")
    with pytest.raises(grpc.RpcError) as refused:
        stub.Append(request, metadata=metadata, timeout=60)
    assert code_of(refused.value) == "checksum_mismatch"
    opened = stub.OpenSession(capture_pb2.OpenSessionRequest(session_id=session), metadata=metadata, timeout=60)
    assert not opened.known


def test_records_are_followed_live(daemon, served: Served):
    channel, _, metadata = daemon
    tail = query_pb2_grpc.QueryStub(channel).Tail(query_pb2.TailRequest(), metadata=metadata, timeout=30)
    seen: list[float] = []
    three = threading.Event()

    def follow() -> None:
        for page in tail:
            seen.extend(record.number for record in page.records if record.key == "y")
            if len(seen) >= 3:
                three.set()
                return

    follower = threading.Thread(target=follow)
    follower.start()
    with served.contexta().run("two") as run:
        for value in (1.0, 2.0, 3.0):
            run.metric("y", value)
    assert three.wait(20)
    follower.join()
    assert seen == [1.0, 2.0, 3.0]
    tail.cancel()
