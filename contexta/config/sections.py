"""The parts of the configuration: every key, its default, and what it takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from .checking import Section, at_least, choice

MIB = 1 << 20
ROOT = "{root}"  # stands for root_path in the workspace's other paths


@dataclass(frozen=True, eq=False, repr=False)
class WorkspaceConfig(Section):
    """Where things are kept. `{root}` in a path stands for `root_path`; after construction it is filled in."""

    section_name: ClassVar[str] = "workspace"
    root_path: Path = Path(".contexta")
    metadata_path: Path = Path("{root}/metadata")
    records_path: Path = Path("{root}/records")
    artifacts_path: Path = Path("{root}/artifacts")
    reports_path: Path = Path("{root}/reports")
    exports_path: Path = Path("{root}/exports")
    cache_path: Path = Path("{root}/cache")
    create_missing_dirs: bool = True  # False: a workspace that is not there is an error, and is not made

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.path_names():
            text = str(getattr(self, name))
            if text.startswith(ROOT):
                object.__setattr__(self, name, self.root_path / text[len(ROOT) :].lstrip("/"))

    @classmethod
    def path_names(cls) -> list[str]:
        """Return the names of the paths that may follow from root_path."""
        return [name for name in cls.field_names() if name.endswith("_path") and name != "root_path"]


@dataclass(frozen=True, eq=False, repr=False)
class ContractConfig(Section):
    """The version of the data model that is written."""

    section_name: ClassVar[str] = "contract"
    schema_version: str = choice("1.0.0")


@dataclass(frozen=True, eq=False, repr=False)
class CaptureConfig(Section):
    """What a training process captures, and what happens at the spool's bound."""

    section_name: ClassVar[str] = "capture"
    enabled: bool = True  # False: capture calls do nothing
    local_jsonl: bool = True  # the daemon writes record.jsonl and artifact.jsonl
    spool_bytes: int = at_least(64 * MIB, 1 * MIB)  # of one process, waiting for the daemon
    on_full: str = choice("drop_newest", "block")  # what finds no room is dropped and counted, or the call waits
    block_timeout_s: float = at_least(0.05, 0)  # the longest that one call waits when on_full is block
    spill_bytes: int = at_least(4096 * MIB, 0)  # of one workspace, moved to disk while the daemon is away
    exit_timeout_s: float = at_least(5.0, 0)  # how long the end of a run or of the process waits until all is durable
    environment: bool = True  # record Python, platform, host, command line once a run
    environment_variables: tuple[str, ...] = (  # the only ones whose values are recorded
        "CUDA_VISIBLE_DEVICES",
        "OMP_NUM_THREADS",
        "PYTHONHASHSEED",
        "RANK",
        "LOCAL_RANK",
        "WORLD_SIZE",
        "SLURM_JOB_ID",
    )
    packages: bool = True  # record the installed packages
    git: bool = True  # record the git revision
    job_id: str = ""  # equal for all workers of one launch; empty: read from the launcher's variables
    rank: int | None = at_least(None, 0)  # this and the next two: by default from the launcher's variables
    local_rank: int | None = at_least(None, 0)
    world_size: int | None = at_least(None, 1)


@dataclass(frozen=True, eq=False, repr=False)
class RecordsConfig(Section):
    """How the daemon's log is written."""

    section_name: ClassVar[str] = "records"
    durability: str = choice("fsync", "interval", "none")  # synced before acknowledged; every second; by the kernel
    segment_bytes: int = at_least(64 * MIB, 4096)  # a log segment is sealed at this size
    compression_level: int = at_least(1, 1)  # of zstd


@dataclass(frozen=True, eq=False, repr=False)
class ArtifactsConfig(Section):
    """What happens to a registered file."""

    section_name: ClassVar[str] = "artifacts"
    mode: str = choice("adopt", "copy")  # adopt: it stays where it is; copy: also into the workspace


@dataclass(frozen=True, eq=False, repr=False)
class DaemonConfig(Section):
    """The background service."""

    section_name: ClassVar[str] = "daemon"
    autostart: bool = True  # with the first capture or question
    idle_timeout_s: float = at_least(900.0, 0)  # 0: it never ends by itself
    admission_bytes: int = at_least(64 * MIB, 1 * MIB)  # accepted and not yet durable; beyond, senders wait
    nice: int = at_least(10, 0)  # how far below the training it runs
    socket_dir: str = ""  # empty: the user's runtime directory


@dataclass(frozen=True, eq=False, repr=False)
class InterpretationConfig(Section):
    """Policies of the questions."""

    section_name: ClassVar[str] = "interpretation"
    expected_terminal_stages: tuple[str, ...] = ("evaluate", "package")  # a diagnosis misses them


@dataclass(frozen=True, eq=False, repr=False)
class RecoveryConfig(Section):
    """What a backup holds when the call does not say."""

    section_name: ClassVar[str] = "recovery"
    include_cache: bool = False
    include_exports: bool = False


@dataclass(frozen=True, eq=False, repr=False)
class SurfacesConfig(Section):
    """How the command line answers when its options do not say."""

    section_name: ClassVar[str] = "surfaces"
    output_format: str = choice("text", "json")


@dataclass(frozen=True, eq=False, repr=False)
class RetentionConfig(Section):
    """What becomes of log segments whose metrics are all in columns: kept as they are, or without these metrics."""

    section_name: ClassVar[str] = "retention"
    log: str = choice("keep", "drop")  # drop: half the room, and the columns are all that there is of them (ADR 13)


@dataclass(frozen=True, eq=False, repr=False)
class SecurityConfig(Section):
    """What is never recorded: values whose name matches one of these patterns (case does not matter)."""

    section_name: ClassVar[str] = "security"
    secret_names: tuple[str, ...] = (  # `-`, `_` and nothing between two words are alike
        "*token*",
        "*secret*",
        "*password*",
        "*passwd*",
        "*passphrase*",
        "pass",
        "*_pass",
        "*pwd*",
        "*credential*",
        "*api_key*",
        "*access_key*",
        "*account_key*",
        "*private_key*",
        "*signing_key*",
        "*encryption_key*",
        "*wandb_key*",
        "*auth*",
        "*cookie*",
        "*signature*",
        "sig",
    )
