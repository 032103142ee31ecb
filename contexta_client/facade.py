"""`Contexta`: everything that a user does with a workspace, capturing and asking."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from contexta.config import UnifiedConfig, load_config
from contexta.errors import DeadlineError

from .asking import Asking
from .capture.notices import say
from .capture.session import Recorder

if TYPE_CHECKING:
    from contexta.capture.sinks import Sink
    from contexta.contract import ArtifactManifest

    from .query.channel import Connection

QUERY_FLUSH_S = 5.0


class Contexta(Asking):
    """A workspace and a project: opens runs and deployments, captures in the innermost scope, answers questions.

    Building one touches no disk, starts nothing and imports nothing heavy; only a question imports grpc.

    A run that is open when the program ends is closed: as failed where an exception ended it, else as completed. Python
    does not tell what `sys.exit(3)` was called with; `with` does see it, and the run has failed.
    """

    def __init__(
        self,
        *,
        workspace: str | os.PathLike[str] | None = None,
        profile: str | None = None,
        config: UnifiedConfig | Mapping[str, Any] | None = None,
        sinks: Sequence[Sink] | None = None,
    ) -> None:
        """workspace: its folder; `.contexta` unless the configuration says another. config: complete, or a nested
        patch. sinks: the user's own, called in the capturing thread besides what is kept.

        Raises ConfigError for a key that does not exist or a value it cannot take, and NotFoundError where there is no
        workspace to capture into and `workspace.create_missing_dirs` is off.
        """
        settings = load_config(profile=profile, workspace=workspace, patch=config)
        self.recorder = recorder = Recorder(settings, sinks=sinks)
        self.config = recorder.config
        recorder.artifact_waiter = self._wait_for_hash
        self.run = recorder.run
        self.deployment = recorder.deployment
        self.current_run = recorder.current_run
        self.current_stage = recorder.current_stage
        self.current_batch = recorder.current_batch
        self.current_sample = recorder.current_sample
        self.current_operation = recorder.current_operation
        self.current_deployment = recorder.current_deployment
        self.metric = recorder.metric
        self.log = recorder.log
        self.event = recorder.event
        self.span = recorder.span
        self.register_artifact = recorder.register_artifact
        self.emit_metrics = recorder.emit_metrics
        self.emit_events = recorder.emit_events
        self.emit_spans = recorder.emit_spans
        self.register_artifacts = recorder.register_artifacts
        self.flush = recorder.flush
        self._connection: Connection | None = None

    @classmethod
    def open(
        cls,
        *,
        workspace: str | os.PathLike[str] | None = None,
        profile: str | None = None,
        config: UnifiedConfig | Mapping[str, Any] | None = None,
        sinks: Sequence[Sink] | None = None,
    ) -> Contexta:
        """The same as `Contexta(...)`."""
        return cls(workspace=workspace, profile=profile, config=config, sinks=sinks)

    @property
    def project_name(self) -> str:
        """The project that runs and deployments belong to."""
        return self.recorder.project_name

    @property
    def sinks(self) -> tuple[Sink, ...]:
        """Where captured payloads go: the JSON Lines files that the daemon writes, and the user's own sinks."""
        return self.recorder.sinks

    def close(self) -> None:
        """Close what is open; wait, bounded, until all is durable and in the JSON Lines files. Twice is fine."""
        self.recorder.close()
        if self._connection is not None:
            self._connection.close()

    def __enter__(self) -> Contexta:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:  # what is still open did not complete
            from .capture.scope_life import outcome

            status, reason = outcome(kind, error, self.config.security.secret_names)
            self.recorder.end(status, reason, wait_s=self.config.capture.exit_timeout_s)
        self.close()

    def _connect(self) -> Connection:
        """Return the connection for questions; it is made with the first one."""
        if self._connection is None:
            from .query.channel import Connection

            self._connection = Connection(
                self.recorder.workspace,
                self.config.for_services(),
                autostart=self.config.daemon.autostart,
                before=self._flush_before_asking,
            )
        return self._connection

    def _flush_before_asking(self) -> None:
        """Let an answer hold what this process captured before the question; bounded, for a daemon that is away.

        Where the time is not enough, what may be missing is said, and the question asked all the same.
        """
        if self.recorder.session_id is None:
            return
        try:
            self.flush(QUERY_FLUSH_S)
        except DeadlineError as error:
            say(f"The answer may lack what this process captured last. {error.message}")

    def _wait_for_hash(self, manifest: ArtifactManifest, timeout: float | None) -> ArtifactManifest:
        """Return a manifest with the hash that the daemon computed. Raises DeadlineError after `timeout` seconds."""
        import dataclasses

        self.recorder.settle(timeout)
        found = self.list_artifacts(artifact_ref=manifest.artifact_ref)
        if not found or found[-1].hash_pending:
            raise DeadlineError(f"The hash of {manifest.artifact_ref} is not there after {timeout} s; ask again later.")
        return dataclasses.replace(manifest, hash_value=found[-1].hash_value, size_bytes=found[-1].size_bytes)
