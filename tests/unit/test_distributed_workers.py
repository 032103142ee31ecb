"""Who a worker is, from what launchers say."""

from __future__ import annotations

import os

import pytest

from contexta.errors import ConfigError
from contexta_client.capture import distributed
from contexta_client.capture.distributed import Worker, find_worker

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "3",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "4",
    "LOCAL_WORLD_SIZE": "4",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
}


def test_a_process_of_no_launcher_is_nobody() -> None:
    assert find_worker({}) == Worker()
    assert find_worker({"RANK": "3"}) == Worker()  # set by hand for something else


def test_torchrun_on_one_node_is_told_apart_by_its_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "_process_tag", lambda pid: "77.100")
    first = find_worker(TORCHRUN)
    assert first == Worker("torchrun", "torchrun-none-127.0.0.1-29500-77.100", 3, 1, 4)
    assert find_worker(TORCHRUN | {"RANK": "0"}).job_id == first.job_id
    monkeypatch.setattr(distributed, "_process_tag", lambda pid: "77.200")
    assert find_worker(TORCHRUN).job_id != first.job_id


def test_torchrun_on_several_nodes_has_one_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "_process_tag", lambda pid: os.urandom(4).hex())
    several = TORCHRUN | {"WORLD_SIZE": "8", "TORCHELASTIC_RUN_ID": "abc", "MASTER_ADDR": "node-0"}
    assert find_worker(several).job_id == find_worker(several).job_id == "torchrun-abc-node-0-29500"


def test_a_process_group_without_torchrun_is_known_by_its_variables() -> None:
    worker = find_worker({name: TORCHRUN[name] for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")})
    assert (worker.launcher, worker.rank, worker.local_rank, worker.world_size) == ("torchrun", 3, None, 4)
    assert worker.job_id


def test_slurm_tasks_share_the_job_and_step_and_a_requeue_is_another_job() -> None:
    slurm = {"SLURM_JOB_ID": "99", "SLURM_STEP_ID": "0", "SLURM_PROCID": "5", "SLURM_LOCALID": "1", "SLURM_NTASKS": "8"}
    assert find_worker(slurm) == Worker("slurm", "slurm-99-0", 5, 1, 8)
    assert find_worker(slurm | {"SLURM_RESTART_COUNT": "1"}).job_id == "slurm-99-0-1"
    assert find_worker({"SLURM_JOB_ID": "99", "SLURM_PROCID": "0"}) == Worker()  # the batch script itself


def test_torchrun_inside_slurm_is_torchrun() -> None:
    worker = find_worker(TORCHRUN | {"SLURM_JOB_ID": "9", "SLURM_STEP_ID": "0", "SLURM_PROCID": "0"})
    assert (worker.launcher, worker.rank) == ("torchrun", 3)


def test_open_mpi_is_known_by_its_namespace() -> None:
    mpi = {
        "OMPI_COMM_WORLD_RANK": "2",
        "OMPI_COMM_WORLD_LOCAL_RANK": "0",
        "OMPI_COMM_WORLD_SIZE": "4",
        "PMIX_NAMESPACE": "prterun-node-123@1",
    }
    assert find_worker(mpi) == Worker("openmpi", "openmpi-prterun-node-123@1", 2, 0, 4)


def test_ray_train_workers_have_the_jobs_id() -> None:
    ray = {"RAY_JOB_ID": "02000000", "RANK": "1", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}
    assert find_worker(ray) == Worker("ray", "ray-02000000", 1, 0, 2)
    assert find_worker({"RAY_JOB_ID": "02000000"}) == Worker()


def test_what_is_given_wins_over_the_launcher_and_configuration_over_variables() -> None:
    given = {"CONTEXTA_JOB_ID": "mine", "CONTEXTA_RANK": "7"}
    worker = find_worker(TORCHRUN | given)
    assert (worker.launcher, worker.job_id, worker.rank, worker.world_size) == ("torchrun", "mine", 7, 4)
    assert find_worker(given, rank=0, job_id="code") == Worker("given", "code", 0, None, None)


def test_a_launchers_nonsense_is_ignored_and_ours_is_refused() -> None:
    assert find_worker(TORCHRUN | {"RANK": "three"}).rank is None
    with pytest.raises(ConfigError, match="CONTEXTA_RANK"):
        find_worker({"CONTEXTA_RANK": "three"})


@pytest.mark.parametrize("number", [str(1 << 31), "9" * 20, "1" * 5000])
def test_a_number_that_the_columns_cannot_hold_is_nonsense(number: str) -> None:
    for name, field in (("RANK", "rank"), ("LOCAL_RANK", "local_rank"), ("WORLD_SIZE", "world_size")):
        assert getattr(find_worker(TORCHRUN | {name: number}), field) is None
        with pytest.raises(ConfigError, match=f"CONTEXTA_{name} "):
            find_worker({f"CONTEXTA_{name}": number})
    largest = (1 << 31) - 1
    assert find_worker({"CONTEXTA_RANK": f"00{largest}"}).rank == largest


@pytest.mark.parametrize("field", ["rank", "local_rank", "world_size"])
def test_a_given_number_that_the_columns_cannot_hold_is_refused(field: str) -> None:
    assert getattr(find_worker({}, **{field: (1 << 31) - 1}), field) == (1 << 31) - 1
    with pytest.raises(ConfigError, match=rf"capture\.{field} "):
        find_worker({}, **{field: 1 << 31})


def test_a_process_is_tagged_by_its_id_and_start() -> None:
    tag = distributed._process_tag(os.getpid())
    assert tag == distributed._process_tag(os.getpid())
    assert tag.startswith(str(os.getpid()))
    assert distributed._process_tag(2**22 + 1) == str(2**22 + 1)
