"""What a facade needs to capture: one `Recorder` for each `Contexta`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import RLock
from time import monotonic, time_ns
from typing import TYPE_CHECKING, Any

from contexta._version import __version__
from contexta.capture.sinks import MirroredJsonlSink
from contexta.config.unified import check_folder
from contexta.contract.references import slug
from contexta.errors import DeadlineError, LifecycleError

from . import delivery_wait, process_events, scope_life, scope_opening, spool_place
from .current import Current
from .distributed import find_worker
from .innermost_calls import InnermostCalls
from .notices import say, say_once
from .rows import LOOK_EVERY_NS
from .scopes import DeploymentScope, RunScope, Scope
from .sender_start import SenderStart
from .sink_feed import SinkFeed
from .stream import Stream

if TYPE_CHECKING:
    from contexta.capture.sinks import Sink
    from contexta.config import UnifiedConfig
    from contexta.contract.entities import ArtifactManifest

RETRY_S = 1.0  # after no spool could be made


class Recorder(InnermostCalls):
    """Captures for one workspace and configuration. A session begins with the first scope, one in each process.

    Always: the stream belongs to this very process; after a fork the child begins its own with its first capture.
    """

    def __init__(self, config: UnifiedConfig, *, sinks: Sequence[Sink] | None = None) -> None:
        """config: complete. sinks: the user's own, besides the JSON Lines files that the daemon writes.

        Its paths are made absolute here: a program may change its working folder before its first run. Touches no
        disk and starts nothing. Raises ConfigError, ValidationError, and NotFoundError for a workspace that must not
        be made.
        """
        self.config = config = config.anchored()
        self.enabled = config.capture.enabled
        self.project_name = config.project_name
        self.project_component = slug(config.project_name, what="project_name")
        self.workspace = config.workspace.root_path
        if self.enabled:
            check_folder(self.workspace, create_missing_dirs=config.workspace.create_missing_dirs)
        own = tuple(sinks or ())
        mirrored: tuple[Sink, ...] = ()
        if config.capture.local_jsonl and self.enabled:
            mirrored = (MirroredJsonlSink(config.workspace.cache_path / "capture"),)
        self.sinks: tuple[Sink, ...] = (*mirrored, *own)
        self.feed = SinkFeed(self, [sink for sink in own if not isinstance(sink, MirroredJsonlSink)])
        capture = config.capture
        self.worker = find_worker(
            os.environ,
            job_id=capture.job_id,
            rank=capture.rank,
            local_rank=capture.local_rank,
            world_size=capture.world_size,
        )
        self.artifact_waiter: Callable[[ArtifactManifest, float | None], ArtifactManifest] | None = None
        self.current = Current()
        self._scope_here = self.current.variable.get
        self.lock = RLock()
        self.roots: dict[int, Scope] = {}  # open runs and deployments
        self._unkept_metrics = self._unkept_entries = 0  # for which there was not even a spool
        self.sender = SenderStart(self.workspace, autostart=config.daemon.autostart)
        self.closed = False
        self.beginning = False  # under the lock: a session, in a call that this thread may be in the middle of
        self._stream: Stream | None = None
        self._last_session = b""  # of this process or, after a fork, of its parent
        self._retry_at_s = 0.0
        self._timed_out = False
        process_events.tell_of_forks(self)

    # --- scopes ------------------------------------------------------------------------------------------------------

    def run(
        self,
        name: str,
        *,
        run_id: str | None = None,
        tags: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        code_revision: str | None = None,
        config_snapshot: Mapping[str, Any] | None = None,
        dataset_ref: str | None = None,
        resume: bool = False,
    ) -> RunScope:
        """Open a run. One of the same reference that this process still has open is closed first, as cancelled."""
        self.check_open()
        return scope_opening.open_run(
            self,
            name,
            run_id=run_id,
            tags=tags,
            metadata=metadata,
            code_revision=code_revision,
            config_snapshot=config_snapshot,
            dataset_ref=dataset_ref,
            resume=resume,
        )

    def deployment(
        self,
        name: str,
        *,
        deployment_ref: str | None = None,
        run_ref: str | None = None,
        artifact_ref: str | None = None,
        environment_snapshot_ref: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> DeploymentScope:
        """Open a deployment, optionally of a run and an artifact."""
        self.check_open()
        return scope_opening.open_deployment(
            self,
            name,
            deployment_ref=deployment_ref,
            run_ref=run_ref,
            artifact_ref=artifact_ref,
            environment_snapshot_ref=environment_snapshot_ref,
            metadata=metadata,
        )

    def degraded(self, issue_key: str, summary: str, scope: Scope | None = None) -> None:
        """Record that something is missing or worse than it should be. Never raises."""
        stream = self._stream
        if stream is None or stream.pid != os.getpid():
            return
        known = scope is not None and scope.stream is stream
        fields = {
            "scope_id": scope.scope_id if known and scope is not None else 0,
            "issue_key": issue_key,
            "category": "capture",
            "severity": "warning",
            "summary": summary,
            "subject_ref": scope.ref if scope is not None else "",
        }
        stream.entry("degraded", fields)

    # --- the session -------------------------------------------------------------------------------------------------

    @property
    def session_id(self) -> bytes | None:
        """The 16 bytes of this process's session, None before anything was captured."""
        stream = self._stream
        return stream.session_id if stream is not None and stream.pid == os.getpid() else None

    def stream(self) -> Stream | None:
        """Return this process's stream, begun if need be.

        None when capture is off or no spool can be made, or when this call is nested in one that begins it just now.
        """
        stream = self._stream
        if stream is not None and stream.pid == os.getpid():
            return stream
        if not self.enabled or self.closed:
            return None
        begins = False
        trouble = ""
        with self.lock:
            stream = self._stream
            if not self.beginning and (stream is None or stream.pid != os.getpid()):
                begins = self.beginning = True
                try:
                    trouble = self._begin()
                finally:
                    self.beginning = False
            stream = self._stream
        if stream is None or stream.pid != os.getpid():
            stream = None
        if trouble:
            say_once("spool", f"nothing is captured: no spool can be made ({trouble}). Free some room, "
                     f"or set {spool_place.BASE_VARIABLE} to a folder of yours on a local disk")  # fmt: skip
        elif begins and stream is not None:
            self.sender.ensure(0)
        return stream

    def _begin(self) -> str:
        """Begin a stream, under the lock. Returns why there is none; empty too when that was said a moment ago."""
        if monotonic() < self._retry_at_s:
            return ""
        capture = self.config.capture
        try:
            stream = Stream(
                spool_place.choose_root(self.workspace, capture.spool_bytes),
                lock=self.lock,
                bound_bytes=capture.spool_bytes,
                block_timeout_s=capture.block_timeout_s if capture.on_full == "block" else 0.0,
                look=self._look,
                wake=self.sender.wake,
                dropped=self._dropped,
            )
        except OSError as error:
            self._retry_at_s = monotonic() + RETRY_S
            return str(error)
        worker = self.worker
        scope_opening.write_config(self.config, self.workspace)
        fields = {
            "host": os.uname().nodename,
            "pid": os.getpid(),
            "parent_session_id": self._last_session or process_events.parent_session(),
            "job_id": worker.job_id,
            "rank": worker.rank,
            "local_rank": worker.local_rank,
            "world_size": worker.world_size,
            "client_version": __version__,
            "launcher": worker.launcher,
            "project_name": self.project_name,
        }
        if refused := stream.entry("session_opened", fields, tried_again=True):
            stream.release()
            with suppress(OSError):
                stream.spool.remove()
            self._retry_at_s = monotonic() + RETRY_S
            return refused
        stream.rows.check_at = time_ns() + LOOK_EVERY_NS
        self._last_session = stream.session_id
        self._stream = stream
        stream.drop_earlier(metrics=self._unkept_metrics, entries=self._unkept_entries)
        self._unkept_metrics = self._unkept_entries = 0
        process_events.watch(self)
        process_events.announce_session(stream.session_id)
        return ""

    def note_unkept(self, metrics: int, entries: int) -> None:
        """Count what was captured while no spool could be made; the next one says so."""
        with self.lock:
            self._unkept_metrics += metrics
            self._unkept_entries += entries

    def _look(self, now: int) -> None:
        """The once-a-second look: is this still our process, is the spool still there, is there a sender?"""
        stream = self._stream
        if stream is None:
            return
        stream.rows.check_at = now + LOOK_EVERY_NS
        try:
            if stream.pid != os.getpid():  # forked by code that does not tell Python
                self.after_fork_in_child()
            elif not stream.spool.exists():
                self._begin_again(stream)
            else:
                stream.pay_owed()
                self.sender.ensure(stream.spool.words[scope_opening.HEARTBEAT])
        except Exception as error:  # whatever the outside world does, the call on whose back this runs succeeded
            say_once("look", f"looking after the sender failed: {type(error).__name__}: {error}")

    def _begin_again(self, stream: Stream) -> None:
        with self.lock:
            if self._stream is not stream:
                return
            self._forget_stream()
            stream.release()
        lost = f"the spool {stream.spool.path} was removed while in use; what waited in it is lost"
        say(f"{lost}. Going on in a new one")
        self.stream()
        self.degraded("spool-removed", lost)

    def _forget_stream(self) -> None:
        self._stream = None
        for scope in list(self.roots.values()):
            scope_life.undeclare(scope)

    def after_fork_in_child(self) -> None:
        """Begin anew in a forked child: locks may be held by threads that do not exist here, the spool is not ours."""
        self.lock = RLock()
        self.beginning = False
        self._retry_at_s = 0.0
        self._timed_out = False
        self._unkept_metrics = self._unkept_entries = 0  # the parent says so
        self.sender.forget_children()
        self._forget_stream()

    def _dropped(self, reason: str) -> None:
        say_once(f"dropped: {reason}", f"records are dropped: {reason}. They are counted, and reported as degraded")

    def trace_id(self, scope: Scope) -> str:
        """Return the trace that spans of a scope belong to: one for each run or deployment of a session."""
        root = scope
        while root.parent is not None:
            root = root.parent
        return (self.session_id or self._last_session or bytes(16)).hex()[:24] + f"{root.scope_id:08x}"

    # --- waiting and the end -----------------------------------------------------------------------------------------

    def flush(self, timeout: float | None = None) -> None:
        """Wait until all that was captured is durable. Raises DeadlineError after `timeout` seconds; None: no bound."""
        if not self._wait(delivery_wait.FLUSH, timeout):
            stream = self._stream
            trouble = stream.spool.trouble() if stream is not None else ""
            waited = "no sender answers" if timeout is None else f"{timeout} s have passed"
            raise DeadlineError(
                f"What was captured is not durable yet: {trouble or waited}. It is safe in the spool, and is delivered "
                "when the daemon can be reached.",
                details={"timeout": timeout, "trouble": trouble},
            )

    def settle(self, timeout: float | None = None) -> bool:
        """Wait until all that was captured is durable and its lines stand in the files. Returns whether it is."""
        return self._wait(delivery_wait.SETTLE, timeout)

    def settle_within_bounds(self) -> None:
        """Wait at the end of a run, as long as the configuration lets it. Never raises."""
        timeout = self.config.capture.exit_timeout_s
        self._timed_out = not self._wait(delivery_wait.SETTLE, timeout, unreachable_s=self._unreachable_s())

    def _unreachable_s(self) -> float:
        """Return how long an end waits for a daemon that is away: not the whole time again when it just was."""
        return delivery_wait.AGAIN_S if self._timed_out else delivery_wait.UNREACHABLE_S

    def _wait(self, words: tuple[int, int], timeout: float | None, *, unreachable_s: float | None = None) -> bool:
        stream = self._stream
        if stream is None or stream.pid != os.getpid():
            return True
        ticket = delivery_wait.request(stream, words)
        return delivery_wait.wait(stream, words, ticket, self.sender, timeout, unreachable_s=unreachable_s)

    def wait_for_artifact(self, manifest: ArtifactManifest, timeout: float | None) -> ArtifactManifest:
        """Return an artifact's manifest with its hash. The facade's waiter asks the daemon for it."""
        if self.artifact_waiter is not None:
            return self.artifact_waiter(manifest, timeout)
        self.flush(timeout)
        return manifest

    def check_open(self) -> None:
        """Raise LifecycleError when the recorder is closed."""
        if self.closed:
            raise LifecycleError("This Contexta is closed; build a new one to capture.", code="client_closed")

    def close(self) -> None:
        """Close what is open, and wait, for `capture.exit_timeout_s` at most, until all is settled. Twice is fine."""
        self.end("completed", "", wait_s=self.config.capture.exit_timeout_s)

    def end(self, status: str, reason: str, *, wait_s: float) -> None:
        """Close open scopes with a status, innermost first, then end the session."""
        for root in reversed(list(self.roots.values())):
            scope_life.close(root, status, reason, wait=False)
        with self.lock:
            if self.closed:
                return
            self.closed = True
            stream = self._stream
        process_events.unwatch(self)
        if stream is None or stream.pid != os.getpid():
            return
        flushed = delivery_wait.request(stream, delivery_wait.FLUSH)
        ticket = delivery_wait.request(stream, delivery_wait.SETTLE)
        stream.end()
        settled = delivery_wait.wait(
            stream, delivery_wait.SETTLE, ticket, self.sender, wait_s, unreachable_s=self._unreachable_s()
        )
        if not settled and self.config.daemon.autostart:
            durable = delivery_wait.is_answered(stream, delivery_wait.FLUSH, flushed)
            scope_opening.say_what_is_left(stream, durable=durable, has_sender=not self.sender.is_missing())
        stream.end(at_last=True)
        self.sender.reap()
        stream.release()
        with self.lock:
            self._stream = None
