"""A day's worth of records at full speed: memory, open files and threads stay flat, and every record is there.

One trainer calls metric(), one calls log() with 100 metrics; both wait when their spool is full, so that nothing is
dropped and the speed is the daemon's. The JSON Lines are off: they would take 300 bytes a record.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import duckdb
from rig import ROOT, Shared, Trial, folder, processes, python
from soak_plot import Panel, drawing
from soak_watch import FOLDERS, MIB, ROLES, Samples, look, size_of

from contexta_daemon.columns.files import chain_in

RECORDS = 550_000_000
SHORT_S, LONG_S = 2.0, 900.0
PATIENCE_S = 240.0  # without any progress; other work on the machine goes before the daemon's
SPARE_DISK = 4 << 30
STOP, DROPPED = 0, 1  # words; then how many records each trainer's calls returned
RETURNED = 2
WIDTH = 100
GOLDEN = 0.6180339887498949  # its multiples have digits that no compression foretells
# Growth over the second half that is still called flat, and the most that a role may ever hold.
GROWTH = {"rss": 32 * MIB, "pss": 32 * MIB, "files": 3.0, "threads": 3.0}
HIGHEST_PSS = {"trainers": 400 * MIB, "sender": 256 * MIB, "daemon": 384 * MIB, "columns": 2048 * MIB}
MOST_FILES, MOST_THREADS = 64, 40
BYTES_A_RECORD = 30.0

# Each run is as long as the one before it, so that what a run should hold follows from how many returned in all.
TRAINER = """
import sys
from pathlib import Path
import numpy as np
from contexta import Contexta
from rig import Shared
from soak import DROPPED, GOLDEN, RETURNED, STOP, WIDTH

workspace, shared, number, run_records = sys.argv[1], Shared(Path(sys.argv[2])), int(sys.argv[3]), int(sys.argv[4])
ctx = Contexta(workspace=workspace, config={"project_name": "k", "capture": {
    "on_full": "block", "block_timeout_s": 120, "exit_timeout_s": 300, "local_jsonl": False, "packages": False,
    "git": False}})
returned = place = 0
while not shared[STOP]:
    with ctx.run(f"t{number}-{place}") as run, run.stage("train") as stage:
        if number == 0:
            metric = stage.metric
            for begin in range(0, run_records, 1000):
                for step in range(begin, begin + 1000):
                    if not metric("loss", step * GOLDEN % 1.0, step=step):
                        shared[DROPPED] += 1
                returned += 1000
                shared[RETURNED + number] = returned
                if shared[STOP]:
                    break
        else:
            log, names = stage.log, [f"m{index:02d}" for index in range(WIDTH)]
            apart = np.arange(WIDTH) * 0.001
            for step in range(run_records // WIDTH):
                if not log(dict(zip(names, ((step * GOLDEN + apart) % 1.0).tolist())), step=step):
                    shared[DROPPED] += WIDTH
                returned += WIDTH
                shared[RETURNED + number] = returned
                if shared[STOP]:
                    break
    place += 1
ctx.close()
"""


def run(trial: Trial) -> None:
    lasts_s = trial.lasts_s(SHORT_S if trial.short else LONG_S)
    run_records = 400_000 if trial.short else 10_000_000
    with folder(trial) as place:
        shared, workspace, samples = Shared(place / "shared"), place / "ws", Samples()
        trainers = [python(TRAINER, workspace, place / "shared", number, run_records) for number in (0, 1)]
        try:
            pids = [each.pid for each in trainers]
            processes.until(lambda: all(f"{role} files" in look(workspace, pids) for role in ROLES), 60, "all work")
            began = time.monotonic()
            captured_s = _watch(trial, shared, workspace, samples, pids, lasts_s)
            shared[STOP] = 1
            for each in trainers:
                trial.check(each.wait(400) == 0, f"a trainer ended with {each.returncode}")
        finally:
            for each in trainers:
                each.kill()
                each.wait()
        returned = [shared[RETURNED + number] for number in (0, 1)]
        durable_s = time.monotonic() - began
        trial.check(shared[DROPPED] == 0, f"{shared[DROPPED]} records were dropped")
        _settle(trial, workspace, sum(returned))
        _count(trial, workspace, returned, run_records)
        _judge(trial, samples, workspace, sum(returned))
        picture = place / "soak.svg" if trial.short else ROOT / "docs" / "soak.svg"
        picture.write_text(_plot(samples, sum(returned)))
    verdict = "not as promised" if trial.failures else "all there, once, each value exact"
    trial.figure(
        f"{sum(returned):,} of {RECORDS:,} records, {sum(returned) / durable_s / 1e6:.2f} M/s until durable, "
        f"captured in {captured_s:.0f} s; {verdict}"
    )


def _watch(trial: Trial, shared: Shared, workspace: Path, samples: Samples, pids: list[int], lasts_s: float) -> float:
    """Sample until a day's worth returned, the time is over, or the disk gets full; return the seconds it took."""
    began, told = time.monotonic(), 0.0
    while (since := time.monotonic() - began) < lasts_s:
        returned = sum(shared[RETURNED + number] for number in range(len(pids)))
        if returned >= RECORDS or not all(map(processes.alive, pids)):
            break
        if shutil.disk_usage(workspace.parent).free < SPARE_DISK:
            trial.say("the disk has no more room to spare")
            break
        samples.take(began, {**look(workspace, pids), "records": float(returned)})
        if since - told >= 30:
            told = since
            trial.say(f"{since:.0f} s: {returned:,} records, {returned / since / 1e6:.2f} M/s")
        time.sleep(0.1 if trial.short else 0.5)  # the interval of looking, nothing is waited for
    return time.monotonic() - began


def _settle(trial: Trial, workspace: Path, wanted: int) -> None:
    """Wait until every record is in a file of columns, as long as it goes on; end the daemon."""
    began, first = time.monotonic(), _in_files(workspace)
    last, since = first, began
    while (now := _in_files(workspace)) < wanted and time.monotonic() - since < PATIENCE_S:
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.2)  # the interval of looking
    trial.check(now == wanted, f"{wanted:,} records returned, {now:,} are in columns")
    lasted_s = max(1e-9, time.monotonic() - began)
    trial.figure(f"columns had all {lasted_s:.0f} s later, {(now - first) / lasted_s / 1e6:.2f} M/s")
    processes.until(lambda: not processes.spools_of(workspace), 60, "every spool is delivered")
    processes.end_all(workspace, PATIENCE_S)


def _files(workspace: Path) -> list[str]:
    """Return the files of columns that count."""
    folder = workspace / "records" / "columns"
    return [str(folder / file.name) for file in chain_in(folder)]


def _in_files(workspace: Path) -> int:
    """Return how many rows the statistics of the files tell; a file that is merged away meanwhile is asked again."""
    try:
        files = _files(workspace)
        if not files:
            return 0
        rows = duckdb.execute("SELECT sum(num_rows) FROM parquet_file_metadata(?)", [files]).fetchone()
        return int(rows[0]) if rows else 0
    except duckdb.Error:
        return 0


def _count(trial: Trial, workspace: Path, returned: list[int], run_records: int) -> None:
    """Compare every series with what returned: its steps are 0 to n - 1, each once, and its values follow from them."""
    found = duckdb.execute(
        "SELECT run_id, key, count(*), min(step), max(step), sum(step::HUGEINT), sum((step::HUGEINT) * step), "
        "count(*) FILTER (value IS DISTINCT FROM "
        "(step * ? + coalesce(try_cast(key[2:] AS INTEGER), 0) * 0.001::DOUBLE) % 1.0) "
        "FROM read_parquet(?) GROUP BY ALL",
        [GOLDEN, _files(workspace)],
    ).fetchall()
    series = {(run_id, key): tuple(map(int, rest)) for run_id, key, *rest in found}
    wanted: dict[tuple[str, str], tuple[int, ...]] = {}
    for number, total in enumerate(returned):
        keys = ["loss"] if number == 0 else [f"m{index:02d}" for index in range(WIDTH)]
        for place in range(-(-total // run_records)):
            n = min(run_records, total - place * run_records) // len(keys)
            sums = n * (n - 1) // 2, (n - 1) * n * (2 * n - 1) // 6
            wanted |= {(f"run:k.t{number}-{place}", key): (n, 0, n - 1, *sums, 0) for key in keys}
    wrong = [name for name in wanted.keys() | series.keys() if wanted.get(name) != series.get(name)]
    for name in wrong[:3]:
        trial.check(False, f"{name}: {series.get(name)}, not {wanted.get(name)}")
    trial.check(not wrong, f"{len(wrong)} of {len(wanted)} series are not as they were captured")


def _judge(trial: Trial, samples: Samples, workspace: Path, records: int) -> None:
    """Nothing grows. In the short form everything still begins, so that only the most of each is judged."""
    trial.check(len(samples.seconds) >= 10, f"{len(samples.seconds)} samples are too few")
    for role in ROLES:
        for what, most in GROWTH.items():
            name = f"{role} {what}"
            if trial.short or name not in samples.series or (role == "columns" and what != "threads"):
                continue  # memory and files go up and down with what is merged: they have a top, see below
            grew = samples.growth(name)
            trial.check(grew <= most, f"{name} grew by {grew:,.0f} over the second half; {most:,.0f} is flat")
        top = samples.highest(f"{role} pss")
        trial.check(top <= HIGHEST_PSS[role], f"{role}: {top / MIB:.0f} MiB")
        files, threads = (samples.highest(f"{role} {what}") for what in ("files", "threads"))
        trial.check(
            files <= MOST_FILES and threads <= MOST_THREADS, f"{role}: {files:.0f} files, {threads:.0f} threads"
        )
        grew = samples.growth(f"{role} pss") if f"{role} pss" in samples.series else 0.0
        told = f"{role}: PSS at most {top / MIB:.0f} MiB, {grew / MIB:+.1f} MiB over the second half"
        trial.figure(f"{told}; at most {files:.0f} files, {threads:.0f} threads")
    kept = {name: size_of(workspace / name) for name in FOLDERS}
    each = sum(kept.values()) / max(1, records)
    trial.check(records < 1e6 or each <= BYTES_A_RECORD, f"{each:.1f} bytes a record are on disk: {kept}")
    trial.figure(f"{each:.1f} bytes a record on disk, log {kept['records/log'] / max(1, records):.1f}")


def _plot(samples: Samples, records: int) -> str:
    def of(what: str, scale: float = 1.0) -> dict[str, list[float]]:
        named = {role: samples.series.get(f"{role} {what}") for role in ROLES}
        return {role: [each / scale for each in line] for role, line in named.items() if line}

    disk = {name: samples.series[f"disk {name}"] for name in (*FOLDERS, "spools") if f"disk {name}" in samples.series}
    return drawing(
        f"{records:,} records at full speed",
        samples.seconds,
        [
            Panel("records that returned, millions", {"records": [each / 1e6 for each in samples.series["records"]]}),
            Panel("proportional memory (PSS), MiB", of("pss", MIB)),
            Panel("resident memory (RSS), MiB", of("rss", MIB)),
            Panel("open files", of("files")),
            Panel("threads", of("threads")),
            Panel(
                "on disk, and in spools, GiB", {name: [each / 2**30 for each in line] for name, line in disk.items()}
            ),
        ],
    )
