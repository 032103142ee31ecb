"""docs/torture.md: what is promised, the program that could have refuted it, and what it found last.

    python scripts/torture_page.py

Figures lie in docs/torture.json, where scripts/torture.py keeps the last long run of each part.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
KEPT, PAGE, FOUND = (ROOT / "docs" / name for name in ("torture.json", "torture.md", "torture_found.md"))

HEAD = """# Torture

Each promise, the programs that try to refute it, and what they found in their last long run. Written by
`scripts/torture_page.py` from `docs/torture.json`. `make torture` runs all parts, `python scripts/torture.py PART` one,
`--seed SEED` the same one again, `--minutes M` for as long, and `--short` as CI does. Tests named here run in
`make test`. [What they found](torture_found.md), and is repaired, has a page of its own.
"""


class Promise(NamedTuple):
    """`parts`: of scripts/torture.py. `tests`: files that `make test` runs."""

    said: str
    goal: str
    parts: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()


PROMISES = (
    Promise("returned calls survive kill -9 of trainer, sender, daemon", "10,000 kills: none lost, doubled, torn",
            ("kills", "sender_sites", "everything"), ("tests/property/test_spool_against_a_model.py",)),
    Promise("durable survives anything", "every site and 10,000 random ones; reopened in 1 s",
            ("daemon_sites", "power_loss", "unsynced"),
            ("tests/crash/test_log_power_loss.py", "tests/property/test_log_properties.py",
             "tests/crash/test_lean_crash.py")),
    Promise("every I/O error is handled", "every site; a failed sync is never retried on the same file",
            ("failing_calls",), ("tests/crash/test_log_every_file_call_fails.py",)),
    Promise("a full disk", "200 times; goes on within its bound, says so in 1 s, resumes in 2 s", ("disk_full",)),
    Promise("bit rot", "every byte of a small segment, 1 M random flips: all found, at most one frame lost",
            ("bit_rot",), ("tests/format/test_log_format.py", "tests/unit/test_columns_crash.py")),
    Promise("the loop is never hurt", "no call over 1 ms at p99.99; exit within 2 s", ("stopped",)),
    Promise("fork, spawn, threads", "10,000 forks among capturing threads: every record right", ("forks",),
            ("tests/crash/test_fork_capture.py",)),
    Promise("exact accounting", "64 writers against a stalled daemon: captured = stored + dropped, to the record",
            ("accounting",), ("tests/unit/test_spool_policies.py",)),
    Promise("one daemon", "200 starts at once, 100 times: one lives", ("many_daemons",)),
    Promise("hostile input", "no crash, no growth over 32 MiB, nothing written outside, nothing executed",
            ("fuzz", "connections"),
            ("tests/service/test_fuzz_corpus.py", "tests/service/test_decompression_bombs.py",
             "tests/service/test_hostile_text.py", "tests/property/test_artifact_package_hostile.py",
             "tests/unit/test_sql_limits.py")),
    Promise("only its owner", "another user, a wrong token, a swapped socket: refused", (),
            ("tests/service/test_other_users.py", "tests/unit/test_private_folders.py")),
    Promise("no secrets", "planted in environment, arguments, git remotes: none in the store", (),
            ("tests/service/test_secrets_stay_out.py",)),
    Promise("values exact", "bit-exact; every JSON line strictly valid", (),
            ("tests/unit/test_scopes_capture.py", "tests/unit/test_sender_reading.py",
             "tests/unit/test_columns_properties.py", "tests/unit/test_mirror_lines.py")),
    Promise("artifacts honest", "the hash is of what is stored, or it says that it changed", (),
            ("tests/unit/test_hasher_files.py", "tests/unit/test_hasher_follows.py")),
    Promise("a day of work", "550 M records at full speed: memory, files, threads flat", ("soak",)),
    Promise("tests that bite", "seeded bugs: all caught", ("mutants",), ("tests/unit/test_mutants_apply.py",)),
)  # fmt: skip


def kept() -> dict[str, Any]:
    """Return what is known of the last long run of each part."""
    found: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    return found


def keep(part: str, result: dict[str, Any]) -> None:
    """Note a part's result, and write the page."""
    results = kept() | {part: result}
    KEPT.write_text(json.dumps(dict(sorted(results.items())), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write()


def write() -> None:
    PAGE.write_text(page(kept()), encoding="utf-8")


def page(results: dict[str, Any]) -> str:
    """Return the page."""
    lines = [HEAD, "| promise | goal | program | figures | verdict | date, seed, time |", "|---|---|---|---|---|---|"]
    for promise in PROMISES:
        begin = f"**{promise.said}** | {promise.goal}"
        for part in promise.parts:
            lines.append(f"| {begin} | `{part}` | {_result(results.get(part))} |")
            begin = " | "
        if promise.tests:
            lines.append(f"| {begin} | {', '.join(f'`{each}`' for each in promise.tests)} | | in CI | |")
    return "\n".join(lines) + "\n"


def _result(result: dict[str, Any] | None) -> str:
    if result is None:
        return " | not run for long | "
    failed = "; ".join(result["failures"]).replace("\n", " ").replace("|", "/")
    skipped = result.get("skipped")
    verdict = f"skipped: {skipped}" if skipped else f"**not as promised**: {failed}" if failed else "holds"
    taken = f", {result['taken_s']:,} s" if result.get("taken_s") else ""
    return f"{'; '.join(result['figures'])} | {verdict} | {result['date']}, {result['seed']}{taken}"


if __name__ == "__main__":
    write()
