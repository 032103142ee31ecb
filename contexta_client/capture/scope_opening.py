"""Opening runs and deployments: their references, what is said of them, and the environment of a run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contexta.contract.references import child_ref, format_ref, parse_ref, slug
from contexta.errors import ValidationError

from . import scope_life, spool_format, spool_place
from .capture_calls import component, json_of, texts
from .environment import describe_environment
from .notices import say, say_once
from .scopes import DeploymentScope, RunScope

if TYPE_CHECKING:
    from contexta.config import UnifiedConfig

    from .session import Recorder
    from .stream import Stream

HEARTBEAT = spool_format.HEARTBEAT_NS
RUN_AGAIN = "the same run was opened again in this process"


def open_run(
    recorder: Recorder,
    name: str,
    *,
    run_id: str | None,
    tags: Mapping[str, Any] | None,
    metadata: Mapping[str, Any] | None,
    code_revision: str | None,
    config_snapshot: Mapping[str, Any] | None,
    dataset_ref: str | None,
    resume: bool,
) -> RunScope:
    """Open a run. Raises ValidationError."""
    ref = _own_ref(recorder, "run", name, run_id, field="run_id")
    if dataset_ref is not None:
        dataset_ref = str(parse_ref(dataset_ref, field="dataset_ref"))
    fields: dict[str, Any] = {
        "tags_json": json_of("tags", tags),
        "metadata_json": json_of("metadata", metadata),
        "config_snapshot_json": json_of("config_snapshot", config_snapshot),
        "resume": bool(resume),
        "project_name": recorder.project_name,
        **texts({"dataset_ref": dataset_ref, "code_revision": code_revision}),
    }
    environment = _environment(recorder)
    if "code_revision" not in fields and environment.get("git_json"):
        from json import loads

        fields["code_revision"] = str(loads(environment["git_json"]).get("revision", ""))
    scope_life.check_size(recorder, "run", {"name": name, **fields})
    for open_scope in list(recorder.roots.values()):
        if open_scope.ref == ref and open_scope.pid == os.getpid():  # a notebook cell, run again
            scope_life.close(open_scope, "cancelled", RUN_AGAIN, wait=False)
    run = RunScope(recorder, name, ref=ref, fields=fields)
    stream = scope_life.declared(run) if environment else None
    if stream is not None:
        rank = recorder.worker.rank
        own_name = "runtime" if rank is None else f"runtime-rank-{rank}"
        environment_ref = child_ref("environment", ref, own_name)
        stream.entry("environment", {"scope_id": run.scope_id, "ref": environment_ref, **environment})
    return run


def open_deployment(
    recorder: Recorder,
    name: str,
    *,
    deployment_ref: str | None,
    run_ref: str | None,
    artifact_ref: str | None,
    environment_snapshot_ref: str | None,
    metadata: Mapping[str, Any] | None,
) -> DeploymentScope:
    """Open a deployment. Raises ValidationError."""
    ref = _own_ref(recorder, "deployment", name, deployment_ref, field="deployment_ref")
    given = {
        "run_ref": ("run", run_ref),
        "artifact_ref": ("artifact", artifact_ref),
        "environment_snapshot_ref": ("environment", environment_snapshot_ref),
    }
    fields: dict[str, Any] = {
        field: str(parse_ref(value, kind=kind, field=field))
        for field, (kind, value) in given.items()
        if value is not None
    }
    fields["metadata_json"] = json_of("metadata", metadata)
    fields["project_name"] = recorder.project_name
    scope_life.check_size(recorder, "deployment", {"name": name, **fields})
    for open_scope in list(recorder.roots.values()):
        if open_scope.ref == ref and open_scope.pid == os.getpid():
            scope_life.close(open_scope, "cancelled", "the same deployment was opened again", wait=False)
    return DeploymentScope(recorder, name, ref=ref, fields=fields)


def _own_ref(recorder: Recorder, kind: str, name: str, given: str | None, *, field: str) -> str:
    """Return the reference of a run or a deployment: of its name, or of the id given, which may be a whole one."""
    if given is None:
        return format_ref(kind, recorder.project_component, component(name, kind))
    slug(name, what=f"{kind} name")  # a name is one all the same
    if isinstance(given, str) and given.startswith(f"{kind}:"):
        found = parse_ref(given, kind=kind, field=field)
        if found.components[0] != recorder.project_component:
            raise ValidationError(
                f"{field} is {given!r}; a {kind} of project {recorder.project_name!r} begins with "
                f"'{kind}:{recorder.project_component}.'.",
                code=f"{kind}_ref_prefix_mismatch",
                details={field: given},
            )
        return str(found)
    return format_ref(kind, recorder.project_component, slug(given, what=field))


def _environment(recorder: Recorder) -> dict[str, str]:
    if not (recorder.config.capture.environment and recorder.enabled):
        return {}
    try:
        return describe_environment(recorder.config, recorder.worker)
    except Exception as error:  # an odd machine must not keep a run from beginning
        say_once("environment", f"the environment could not be recorded: {type(error).__name__}: {error}")
        return {}


def write_config(config: UnifiedConfig, workspace: Path) -> None:
    """Leave the settings of sender and daemon where the sender finds them; say it where that cannot be. config: its
    paths are absolute. Never raises."""
    from contexta.contract.json_text import dumps

    try:
        spool_place.write_settings(workspace, dumps(config.for_services()).encode())
    except OSError as error:
        say_once("settings", f"the sender cannot be told the configuration ({error}); it goes by an older one or "
                 "by the defaults until there is room")  # fmt: skip


def say_what_is_left(stream: Stream, *, durable: bool, has_sender: bool) -> None:
    """Tell, on one line, what is not done yet when nobody waits any longer."""
    if durable:
        say("everything captured is durable; the daemon is still making catalog, artifact hashes and JSON Lines of it")
        return
    usual = "the daemon is slow or does not answer" if has_sender else "no sender comes up"
    trouble = stream.spool.trouble() or usual
    kib = stream.spool.waiting_bytes() >> 10
    say(f"not everything is delivered yet ({trouble}); up to {kib} KiB wait in {stream.spool.path}, nothing is lost: "
        "it is delivered when the sender runs again")  # fmt: skip
