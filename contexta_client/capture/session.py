"""What a facade needs to capture: one `Recorder` for each `Contexta`.

PUBLIC SIGNATURE (being filled in; part 6 may rely on these names now):

    Recorder(config: UnifiedConfig, *, sinks: Sequence[Sink] | None = None)
        .config .project_name .sinks .workspace (absolute Path)
        .artifact_waiter: Callable[[ArtifactManifest, float | None], ArtifactManifest] | None   # the facade sets it
        .session_id: bytes | None                         # None until something was captured
        .run(name, *, run_id, tags, metadata, code_revision, config_snapshot, dataset_ref, resume) -> RunScope
        .deployment(name, *, deployment_ref, run_ref, artifact_ref, environment_snapshot_ref, metadata) -> DeploymentScope
        .current_run() .current_stage() .current_batch() .current_sample() .current_operation() .current_deployment()
        .metric .log .event .span .register_artifact .emit_metrics .emit_events .emit_spans .register_artifacts
        .flush(timeout: float | None = None) -> None      # DeadlineError when it takes longer
        .settle(timeout: float | None = None) -> bool
        .close() -> None                                  # bounded, twice is fine
        .start_sender() -> bool                           # for queries, without capturing
"""
