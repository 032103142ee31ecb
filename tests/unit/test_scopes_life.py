"""How scopes are named, nested, current and closed."""

from __future__ import annotations

import asyncio
import threading

import pytest
from capturing import Capturing

from contexta.errors import ClosedScopeError, LifecycleError, ValidationError
from contexta_client.capture import delivery_wait, notices
from contexta_client.capture import spool_format as fmt


def closings(capturing: Capturing) -> dict[str, tuple[str, str]]:
    content = capturing.one()
    names = {each.scope_id: each.name for each in content.of("scope_opened")}
    return {names[each.scope_id]: (each.status, each.reason) for each in content.of("scope_closed")}


def test_references_follow_names_and_nesting(capturing: Capturing) -> None:
    recorder = capturing.recorder()
    with recorder.run("Linear SVM") as run, run.stage("evaluate") as stage:
        with stage.batch("Holdout / split") as batch:
            refs = [batch.sample("first").ref, batch.operation("step 3").ref]
        refs += [stage.sample("loose").ref, stage.operation("op").ref]
    assert (run.ref, run.name) == ("run:demo.linear-svm", "Linear SVM")
    assert batch.ref == "batch:demo.linear-svm.evaluate.holdout-split"
    assert refs == [
        "sample:demo.linear-svm.evaluate.holdout-split.first",
        "op:demo.linear-svm.evaluate.holdout-split.step-3",
        "sample:demo.linear-svm.evaluate.loose",
        "op:demo.linear-svm.evaluate.op",
    ]
    opened = capturing.one().of("scope_opened")
    assert [each.kind for each in opened] == [1, 2, 3, 4, 5, 4, 5]
    assert [each.parent_id for each in opened] == [0, 1, 2, 3, 3, 2, 2]
    assert opened[0].project_name == "Demo"


def test_letters_that_no_reference_keeps_are_told_of_once_for_each_kind(
    capturing: Capturing, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "_said", set())
    recorder = capturing.recorder()
    for name in ("실험 1", "시험 1"):
        with recorder.run(name, run_id=f"by-id-{len(name)}"), recorder.run(name) as run, run.stage(name) as stage:
            assert (run.ref, run.name, stage.ref) == ("run:demo.1", name, "stage:demo.1.1")
    assert [each.message.partition(" in references")[0] for each in caplog.records] == [
        "contexta: the run name '실험 1' is '1'", "contexta: the stage name '실험 1' is '1'",
    ]  # fmt: skip


def test_what_is_said_of_a_run_and_a_deployment_is_kept(capturing: Capturing) -> None:
    recorder = capturing.recorder()
    run = recorder.run(
        "told",
        run_id="custom-id",
        tags={"a": "b"},
        metadata={"n": 1},
        code_revision="abc",
        config_snapshot={"lr": 0.1},
        dataset_ref="dataset:sklearn.iris",
        resume=True,
    )
    deployment = recorder.deployment("out", run_ref=run.ref, artifact_ref="artifact:demo.custom-id.model")
    stage = run.stage("train", metadata={"m": 2})
    stage.sample("s", retention_class="review", redaction_profile="pii-masked")
    first, second, third, fourth = capturing.one().of("scope_opened")
    assert run.ref == first.ref == "run:demo.custom-id"
    assert (first.tags_json, first.metadata_json, first.config_snapshot_json) == ('{"a":"b"}', '{"n":1}', '{"lr":0.1}')
    assert (first.code_revision, first.dataset_ref, first.resume) == ("abc", "dataset:sklearn.iris", True)
    assert (second.ref, second.run_ref) == (deployment.ref, run.ref) == ("deployment:demo.out", run.ref)
    assert second.artifact_ref == "artifact:demo.custom-id.model"
    assert third.metadata_json == '{"m":2}'
    assert (fourth.retention_class, fourth.redaction_profile) == ("review", "pii-masked")


@pytest.mark.parametrize(
    "options",
    [
        {"name": "a.b"},
        {"name": "???"},
        {"name": 3},
        {"name": "x", "run_id": "run:other.x"},
        {"name": "x", "run_id": "run:demo"},
        {"name": "x", "dataset_ref": "iris"},
        {"name": "x", "tags": ["a"]},
        {"name": "x", "metadata": "text"},
        {"name": "x", "code_revision": 5},
    ],
)
def test_a_wrong_run_is_refused_and_nothing_is_opened(capturing: Capturing, options: dict) -> None:
    recorder = capturing.recorder()
    with pytest.raises(ValidationError):
        recorder.run(**options)
    assert recorder.current_run() is None
    assert not capturing.read()


def test_a_deployment_with_a_wrong_reference_is_refused(capturing: Capturing) -> None:
    recorder = capturing.recorder()
    for wrong in ({"run_ref": "stage:a.b.c"}, {"artifact_ref": "x"}, {"deployment_ref": "deployment:other.x"}):
        with pytest.raises(ValidationError):
            recorder.deployment("out", **wrong)


def test_leaving_a_scope_tells_how_it_ended(capturing: Capturing) -> None:
    recorder = capturing.recorder()
    with recorder.run("outcomes") as run:
        endings = [
            ("fine", None),
            ("wrong", ValueError("bad value")),
            ("stopped", KeyboardInterrupt()),
            ("cancelled", asyncio.CancelledError()),
            ("exit-0", SystemExit(0)),
            ("exit-1", SystemExit(1)),
        ]
        for name, error in endings:
            if error is None:
                with run.stage(name):
                    pass
                continue
            with pytest.raises(type(error)) as raised, run.stage(name):
                raise error
            assert raised.value is error
    assert closings(capturing) == {
        "fine": ("completed", ""),
        "wrong": ("failed", "ValueError: bad value"),
        "stopped": ("cancelled", "KeyboardInterrupt"),
        "cancelled": ("cancelled", "CancelledError"),
        "exit-0": ("completed", ""),
        "exit-1": ("failed", "SystemExit: 1"),
        "outcomes": ("completed", ""),
    }


def test_an_exception_that_cannot_tell_its_text_still_closes_the_scope(capturing: Capturing) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    with pytest.raises(MuteError), capturing.recorder().run("mute"):
        raise MuteError
    assert closings(capturing) == {"mute": ("failed", "MuteError")}


def test_closing_a_scope_closes_what_is_open_in_it_innermost_first(capturing: Capturing) -> None:
    run = capturing.recorder().run("outer")
    batch = run.stage("train").batch("one")
    batch.sample("s")
    run.close("failed", reason="enough")
    content = capturing.one()
    names = {each.scope_id: each.name for each in content.of("scope_opened")}
    assert [names[each.scope_id] for each in content.of("scope_closed")] == ["s", "one", "train", "outer"]
    assert set(closings(capturing).values()) == {("failed", "enough")}
    assert (batch.status, run.status) == ("failed", "failed")
    assert run.closed_at is not None
    assert run.started_at <= run.closed_at
    run.close("completed")  # a second time does nothing
    assert run.status == "failed"
    with pytest.raises(ClosedScopeError):
        batch.sample("more")


def test_a_status_that_does_not_exist_is_refused(capturing: Capturing) -> None:
    run = capturing.recorder().run("x")
    with pytest.raises(ValidationError, match="cancelled"):
        run.close("done")
    assert run.status == "open"


def test_a_notebook_cell_run_again_cancels_the_run_before(capturing: Capturing) -> None:
    recorder = capturing.recorder()
    first = recorder.run("cell")
    first.stage("train")
    second = recorder.run("cell")
    assert (first.status, second.status) == ("cancelled", "open")
    assert recorder.current_run() is second
    second.metric("loss", 1.0)
    content = capturing.one()
    assert [each.status for each in content.of("scope_closed")] == ["cancelled", "cancelled"]
    assert "opened again" in content.of("scope_closed")[0].reason
    third = recorder.deployment("d")
    recorder.deployment("d")
    assert third.status == "cancelled"


def test_two_different_runs_may_be_open_at_once(capturing: Capturing) -> None:
    recorder = capturing.recorder()
    with recorder.run("a") as a:
        with recorder.run("b") as b:
            assert recorder.current_run() is b
            assert a.metric("x", 1.0).ok
        assert recorder.current_run() is a
    assert recorder.current_run() is None


def test_current_scopes_are_the_innermost_of_each_kind(capturing: Capturing) -> None:
    recorder = capturing.recorder()
    with recorder.run("r") as run, run.stage("s") as stage, stage.batch("b") as batch:
        with batch.operation("o") as operation:
            found = (recorder.current_run(), recorder.current_stage(), recorder.current_batch())
            assert found == (run, stage, batch)
            assert recorder.current_operation() is operation
            assert recorder.current_sample() is None
        assert recorder.current_operation() is None
        with recorder.deployment("d") as deployment:
            assert recorder.current_deployment() is deployment
            assert recorder.current_run() is run
    assert recorder.current_stage() is None


def test_scopes_closed_out_of_order_leave_the_right_one_current(capturing: Capturing) -> None:
    recorder = capturing.recorder()
    run = recorder.run("r")
    stage = run.stage("s")
    batch = stage.batch("b")
    stage.close()
    assert batch.status == "completed"
    assert recorder.current_stage() is None
    assert recorder.innermost() is run


def test_threads_have_their_own_current_scope_and_fall_back_to_the_only_run(capturing: Capturing) -> None:
    recorder = capturing.recorder()
    seen: dict[str, object] = {}

    def work() -> None:
        seen["stage"] = recorder.current_stage()
        recorder.metric("from-thread", 1.0)
        with run.stage("own"):
            recorder.metric("own", 1.0)
        second = recorder.run("second")
        second.close()

    with recorder.run("threads") as run, run.stage("main") as stage:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert recorder.current_stage() is stage
    assert seen == {"stage": None}
    content = capturing.one()
    names = {each.scope_id: each.name for each in content.of("scope_opened")}
    assert {each.key: names[each.scope] for each in content.metrics} == {"from-thread": "threads", "own": "own"}


def test_a_thread_among_several_runs_must_say_which(capturing: Capturing) -> None:
    recorder = capturing.recorder()
    raised: list[BaseException] = []

    def work() -> None:
        try:
            recorder.metric("x", 1.0)
        except LifecycleError as error:
            raised.append(error)

    with recorder.run("a"), recorder.run("b"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert "several are open" in str(raised[0])


def test_tasks_have_their_own_current_scope(capturing: Capturing) -> None:
    recorder = capturing.recorder()

    async def work(run, name: str, ready: asyncio.Event, go: asyncio.Event) -> None:
        with run.stage(name):
            ready.set()
            await go.wait()
            recorder.metric(name, 1.0)

    async def main() -> None:
        with recorder.run("tasks") as run:
            first, second = asyncio.Event(), asyncio.Event()
            await asyncio.gather(work(run, "a", first, second), work(run, "b", second, first))
            assert recorder.current_stage() is None

    asyncio.run(main())
    content = capturing.one()
    names = {each.scope_id: each.name for each in content.of("scope_opened")}
    assert {each.key: names[each.scope] for each in content.metrics} == {"a": "a", "b": "b"}


def test_many_threads_capture_side_by_side_without_losing_a_row(capturing: Capturing) -> None:
    recorder = capturing.recorder()
    run = recorder.run("parallel")
    barrier = threading.Barrier(6)

    def work(number: int) -> None:
        barrier.wait()
        with run.stage(f"worker-{number}") as stage:
            for step in range(4000):
                stage.metric("x", float(number), step=step)
                if step % 4 == 0:
                    stage.log({"a": 1.0, "b": float(step)}, step=step)
                if step % 100 == 0:
                    stage.event("tick", message=str(step))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = capturing.one()
    seen = {(each.value, each.step) for each in content.metrics if each.key == "x"}
    assert len(seen) == len(content.values("x")) == 6 * 4000
    assert len(content.values("b")) == 6 * 1000
    assert len(content.of("event")) == 6 * 40
    assert (content.holes, content.voids) == (0, 0)
    scopes = {each.scope_id: each.name for each in content.of("scope_opened")}
    assert all(scopes[each.scope] == f"worker-{each.value:.0f}" for each in content.metrics if each.key == "x")


def test_closing_a_recorder_ends_its_session_and_closes_what_is_open(capturing: Capturing) -> None:
    recorder = capturing.recorder()
    recorder.run("open").stage("train")
    recorder.close()
    recorder.close()
    content = capturing.one()
    assert content.ended
    assert [each.status for each in content.of("scope_closed")] == ["completed", "completed"]
    assert content.words[fmt.SETTLE_REQUESTED] == 1


def test_nothing_captured_leaves_nothing_behind(capturing: Capturing) -> None:
    recorder = capturing.recorder()
    recorder.flush(0)
    recorder.close()
    assert not capturing.spools.exists()


def test_a_session_says_who_it_is_and_names_itself_to_children(
    capturing: Capturing, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    monkeypatch.setenv("CONTEXTA_RANK", "3")
    monkeypatch.setenv("CONTEXTA_JOB_ID", "job-1")
    recorder = capturing.recorder()
    recorder.run("who")
    (entry,) = capturing.one().of("session_opened")
    assert (entry.pid, entry.host) == (os.getpid(), os.uname().nodename)
    assert (entry.rank, entry.job_id, entry.launcher) == (3, "job-1", "given")
    assert not entry.HasField("world_size")
    assert os.environ["CONTEXTA_PARENT_SESSION"] == recorder.session_id.hex()


def test_a_flush_is_answered_by_the_senders_word(capturing: Capturing, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = capturing.recorder()
    recorder.run("flush").metric("loss", 1.0)
    words = recorder.stream().spool.words
    monkeypatch.setattr(recorder.sender, "ensure", lambda heartbeat: True)
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 5:
            words[fmt.FLUSH_DONE] = words[fmt.FLUSH_REQUESTED]

    monkeypatch.setattr(delivery_wait, "sleep", nap)
    recorder.flush()
    assert naps == sorted(naps)
    assert naps[0] < 0.001


def test_a_flush_without_a_sender_says_that_nothing_is_lost(capturing: Capturing) -> None:
    from contexta.errors import DeadlineError

    recorder = capturing.recorder()
    recorder.run("flush").metric("loss", 1.0)
    with pytest.raises(DeadlineError, match="safe in the spool"):
        recorder.flush(0.05)
    assert recorder.settle(0.0) is False


def test_an_unreachable_daemon_shortens_the_waits_at_the_end(
    capturing: Capturing, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = capturing.recorder(exit_timeout_s=60.0)
    run = recorder.run("away")
    recorder.stream().spool.words[fmt.DELIVERY_STATE] = fmt.UNREACHABLE
    monkeypatch.setattr(recorder.sender, "ensure", lambda heartbeat: True)
    clock = [0.0]

    def nap(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr(delivery_wait, "sleep", nap)
    monkeypatch.setattr(delivery_wait, "monotonic", lambda: clock[0])
    run.close()
    assert 1.4 < clock[0] < 1.6
    recorder.close()
    assert clock[0] < 2.0
