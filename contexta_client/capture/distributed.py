"""Which worker of which launch this process is: read from what launchers say in the environment, or given.

The job id is equal for all workers of one launch and differs between launches, also of the same command on one host.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from contexta.errors import ConfigError

MAX_NUMBER = (1 << 31) - 1  # of a rank or a size: the columns of a workspace hold 32 bits


class Worker(NamedTuple):
    """This process in its launch. Numbers are None and texts empty where nothing says them."""

    launcher: str = ""  # torchrun, slurm, openmpi, ray, given
    job_id: str = ""
    rank: int | None = None
    local_rank: int | None = None
    world_size: int | None = None


def find_worker(
    environ: Mapping[str, str],
    *,
    job_id: str = "",
    rank: int | None = None,
    local_rank: int | None = None,
    world_size: int | None = None,
) -> Worker:
    """Return who this process is. What is given (by configuration, then by CONTEXTA_*) wins over launchers' variables.

    Raises ConfigError when a CONTEXTA_* variable holds no number, and on a given one beyond MAX_NUMBER.
    """
    for name, value in (("rank", rank), ("local_rank", local_rank), ("world_size", world_size)):
        if value is not None and value > MAX_NUMBER:
            raise _wrong(f"capture.{name}", value)
    found = _launched(environ)
    given_job = job_id or environ.get("CONTEXTA_JOB_ID", "")
    given = [
        value if value is not None else _own_number(environ, name)
        for value, name in (
            (rank, "CONTEXTA_RANK"),
            (local_rank, "CONTEXTA_LOCAL_RANK"),
            (world_size, "CONTEXTA_WORLD_SIZE"),
        )
    ]
    if not given_job and all(value is None for value in given):
        return found
    merged = [
        mine if mine is not None else theirs
        for mine, theirs in zip(given, (found.rank, found.local_rank, found.world_size), strict=True)
    ]
    return Worker(found.launcher or "given", given_job or found.job_id, merged[0], merged[1], merged[2])


def _launched(environ: Mapping[str, str]) -> Worker:
    for look in (_torchrun, _openmpi, _slurm, _ray):
        worker = look(environ)
        if worker is not None:
            return worker
    return Worker()


def _torchrun(environ: Mapping[str, str]) -> Worker | None:
    run_id = environ.get("TORCHELASTIC_RUN_ID")
    if run_id is None and not {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= environ.keys():
        return None
    rank, world_size = _number(environ, "RANK"), _number(environ, "WORLD_SIZE")
    local_size = _number(environ, "LOCAL_WORLD_SIZE")
    parts = [run_id or "env", environ.get("MASTER_ADDR", ""), environ.get("MASTER_PORT", "")]
    if local_size is None or world_size is None or local_size == world_size:
        # All workers are children of one agent: its start tells one launch from the next, which may even take the
        # same port. A restart of the workers by the agent keeps it, as it should: it is the same job.
        parts.append(_process_tag(os.getppid()))
    return Worker(
        "torchrun", "torchrun-" + "-".join(filter(None, parts)), rank, _number(environ, "LOCAL_RANK"), world_size
    )


def _slurm(environ: Mapping[str, str]) -> Worker | None:
    job = environ.get("SLURM_JOB_ID") or environ.get("SLURM_JOBID")
    rank = _number(environ, "SLURM_PROCID")
    if job is None or rank is None or "SLURM_STEP_ID" not in environ:  # a batch script itself is no worker of a step
        return None
    parts = [job, environ["SLURM_STEP_ID"], environ.get("SLURM_RESTART_COUNT", "")]
    world_size = _number(environ, "SLURM_NTASKS", "SLURM_NPROCS")
    return Worker(
        "slurm", "slurm-" + "-".join(filter(None, parts)), rank, _number(environ, "SLURM_LOCALID"), world_size
    )


def _openmpi(environ: Mapping[str, str]) -> Worker | None:
    rank = _number(environ, "OMPI_COMM_WORLD_RANK")
    if rank is None:
        return None
    name = (
        environ.get("PMIX_NAMESPACE") or environ.get("OMPI_MCA_ess_base_jobid") or environ.get("PMIX_SERVER_URI2", "")
    )
    job = "-".join(filter(None, ("openmpi", environ.get("SLURM_JOB_ID", ""), name or _process_tag(os.getppid()))))
    local_rank, size = _number(environ, "OMPI_COMM_WORLD_LOCAL_RANK"), _number(environ, "OMPI_COMM_WORLD_SIZE")
    return Worker("openmpi", job, rank, local_rank, size)


def _ray(environ: Mapping[str, str]) -> Worker | None:
    job = environ.get("RAY_JOB_ID")
    rank = _number(environ, "RAY_TRAIN_WORLD_RANK", "RANK")
    if job is None or rank is None:
        return None
    local_rank = _number(environ, "RAY_TRAIN_LOCAL_RANK", "LOCAL_RANK")
    parts = ("ray", environ.get("RAY_TRAIN_RUN_ID", ""), job)
    return Worker(
        "ray", "-".join(filter(None, parts)), rank, local_rank, _number(environ, "RAY_TRAIN_WORLD_SIZE", "WORLD_SIZE")
    )


def _number(environ: Mapping[str, str], *names: str) -> int | None:
    """Return the first variable that is a number; a launcher's that is none is not ours to complain of."""
    for name in names:
        number = _parsed(environ.get(name, "").strip())
        if number is not None:
            return number
    return None


def _own_number(environ: Mapping[str, str], name: str) -> int | None:
    text = environ.get(name, "").strip()
    if not text:
        return None
    number = _parsed(text)
    if number is None:
        raise _wrong(name, text)
    return number


def _parsed(text: str) -> int | None:
    """Return the number from 0 to MAX_NUMBER that a text is, None for any other text."""
    if not (text.isascii() and text.isdigit()) or len(text.lstrip("0")) > len(str(MAX_NUMBER)):
        return None
    number = int(text.lstrip("0") or "0")
    return number if number <= MAX_NUMBER else None


def _wrong(key: str, value: object) -> ConfigError:
    return ConfigError(
        f"{key} is {value!r}; it takes a whole number, such as 0, of at most {MAX_NUMBER}.",
        code="config_wrong_value",
        details={"key": key},
    )


def _process_tag(pid: int) -> str:
    """Return a process's id and start time, which together name it for good on this host."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        return f"{pid}.{fields[19]}"  # field 22 of proc(5): start time in ticks since boot
    except (OSError, IndexError):  # not Linux
        return str(pid)
