"""The twelve questions of examples/questions, run as a user runs them: in an empty folder, and once more in the same.

Two run at once, since most of their time is spent in starting processes.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from workspace_processes import remove_workspace

FOLDER = Path(__file__).parents[2] / "examples" / "questions"

# file -> patterns that stand in what it prints, in this order; values, not titles
PRINTED = {
    "best_of_eight": [
        r"logistic-scaled +0\.9\d\d +0\.1\d\d",
        r"svm-scaled +0\.\d+ +-",
        r"best of 8 is \S+: accuracy 0\.9\d\d",
        r"leads \S+ by 0\.0\d\d; its 5 folds lie between 0\.\d+ and [01]\.\d+",
        r"By log loss the best is bayes \(0\.0\d\d\)",
    ],
    "what_made_it_worse": [
        r"3 stages; 4 of 5 metrics differ",
        r"evaluate +mae +5\.\d\d -> 12\.\d\d loaves \(\+1\d\d%\)",
        r"code_revision: 4be1f07 -> 9d20c3a",
        r"dataset_ref: dataset:sales\.week-31 -> dataset:sales\.week-32",
        r"config calendar: holidays-2025 -> None",
        r"environment OMP_NUM_THREADS: 1 -> 2",
        r"artifact model: changed",
        r"first stage whose numbers moved is prepare: columns_in_use went from 4 to 3",
    ],
    "stage_that_produced_nothing": [
        r"tuesday: load completed, plausible completed, publish completed\n  every stage produced something",
        r"wednesday: .*\n  Stage 'plausible' is completed, but has no metric",
        r"In tuesday it had 10 points of part_mean, part_rows",
        r"Its table has 0 bytes; it had 28\d\d then",
        r"publish +499 in tuesday, +0 in wednesday",
    ],
    "in_production": [
        r"autumn +failed +from run:spam-filter\.release-autumn",
        r"In production: deployment summer-2, run:spam-filter\.release-summer, accuracy 0\.8\d\d",
        r"model: release-summer\.json, made in stage train, \d+ bytes\n  its bytes now: ok \(sha256:",
        r"Roll back to: deployment spring, run:spam-filter\.release-spring, accuracy 0\.8\d\d",
        r"Not to go back to: autumn failed: .*'serving\.json'",
    ],
    "gate_before_deployment": [
        r"thorough:\n  ok +accuracy +0\.9\d+\n  ok +weakest_recall +0\.8\d+",
        r"exit status 0: may be deployed",
        r"fast:\n  ok +accuracy +0\.8\d+\n  error +weakest_recall +0\.8\d+",
        r"refused because: one digit is neglected\n  the neglected digit is \d: 8\d% of them are read",
        r"exit status 1: must not pass",
        r"1 of 2 may be deployed: thorough",
    ],
    "audit_pack": [
        r"123 records in records\.jsonl, \d+ sections",
        r"dataset: ok, \d+ bytes, sha256:",
        r"To run it again: reproducible; Python 3\.\d+\.\d+, \d+ packages",
        r"7 of 7 files have the sum",
        r"120 losses from 0\.693 to 0\.4\d\d, the same as in the workspace: True",
        r"The packed files are the captured ones: True",
        r"log behind it is intact: \d+ items",
    ],
    "weak_night": [
        r"night-07 +9\d\.\d%",
        r"night-08 +4\d\.\d%",
        r"median 9\d\.\d%, lowest 4\d\.\d%, over 12 nights",
        r"night-08 \(completed\) is unlike the other 11",
        r"read +payments +9\d\d\.00, usual +1,8\d\d\.\d\d \(\d+ deviations below\)",
        r"It begins in stage read, with payments",
        r"12 nights, \{'completed': 12\}, 1 of them weak",
    ],
    "contaminated_data": [
        r"dataset:homes\.export +60 of 75 rows",
        r"Downstream of dataset:homes\.export, over 9 relations",
        r"2 runs: run:house-prices\.export-raw, run:house-prices\.export-tidy",
        r"export-tidy +3\d,\d{3}  not to be believed",
        r"survey-raw +4\d,\d{3}  stands",
        r"Withdraw: portal-export-raw, portal-export-tidy\nMay stay: portal-survey-raw, portal-survey-tidy",
        r"not touched: run:house-prices\.survey-raw",
    ],
    "failing_prompts": [
        r"Accuracy over 23 prompts: 91%",
        r"negated +50% of +4 prompts",
        r"negated-0 +'do not renew my book but reserve it': renew instead of reserve \(margin 0\.\d\d\)",
        r"vague-1 +'still reading'",
        r"not by luck: plain 94%, negated 0%, vague 33%",
        r"Write training prompts for the family 'negated' first",
    ],
    "broken_retrieval_stage": [
        r"embed +distinct_share +1\.00 +0\.08  -92%",
        r"rank +right_if_found +1\.00 +1\.00\n",
        r"Broken: embed \(distinct_share fell first\)\. Carried along: search, answer\.",
        r"embedder\.keep_digits: True -> False",
        r"this-week: 8 of 24 queries did not find their document",
        r"no longer found: 109 \(8 parts\)",
    ],
    "onboarding": [
        r"bike-rentals: How many bicycles each station needs tomorrow\. 6 runs: 5 completed, 1 failed",
        r"same-weekday +by ines +weekends differ +completed +mae 82\.\d",
        r"Begin with run:bike-rentals\.week-long: its error of 7\d\.\d",
        r"year-ago: too-few-rows, 336 rows are left",
        r"week-descent-fast: 'loss' turned NaN or infinite, first at step \d+",
        r"\{'least-squares': 4, 'descent': 2\}\. Runs about weekends: same-weekday",
    ],
    "delivery_certificate": [
        r"hash +sha256:[0-9a-f]{64}",
        r"made in +stage:apple-grader\.grader\.train",
        r"accuracy +0\.9\d+",
        r"reproducible: Nothing is missing",
        r"Made again: the model is unchanged",
        r"The delivered file is the certified one: True",
        r"one byte altered is the certified one: False",
    ],
}  # fmt: skip

MADE = {
    "gate_before_deployment": ["gate-thorough.html", "gate-fast.html"],
    "audit_pack": ["audit-pack/report.html", "audit-pack/SHA256SUMS", "audit-pack/tables.csv"],
    "weak_night": ["matched-share.html"],
    "onboarding": ["welcome.html"],
    "delivery_certificate": ["delivery/certificate.html", "delivery/apple-grader.grader.model/payload"],
}


class Tried:
    """An example, run twice in one folder: what came of each run, and the folder."""

    def __init__(self, folder: Path, outcomes: list[subprocess.CompletedProcess[str]]) -> None:
        self.folder = folder
        self.first, self.second = outcomes


def run_example(name: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a file as a user does; only its spools lie where the test removes them."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CONTEXTA_")}
    environment["CONTEXTA_SPOOL_DIR"] = str(folder.parent / "spools")
    environment["CONTEXTA_CAPTURE__EXIT_TIMEOUT_S"] = "60"
    return subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py"), *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def tried(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Tried]]]:
    """The examples that the chosen tests ask for, all started, two at a time."""
    mine = [item for item in request.session.items if item.path == request.path and hasattr(item, "callspec")]
    chosen = {item.callspec.params["name"] for item in mine}
    folders = {name: tmp_path_factory.mktemp(name) / "empty" for name in sorted(chosen)}

    def twice(name: str) -> Tried:
        folders[name].mkdir()
        return Tried(folders[name], [run_example(name, folders[name]) for _ in range(2)])

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(twice, name) for name in folders}
        pool.shutdown(cancel_futures=True)
        for folder in folders.values():
            patch.setenv("CONTEXTA_SPOOL_DIR", str(folder.parent / "spools"))
            remove_workspace(folder / ".contexta")


@pytest.mark.parametrize("name", PRINTED)
def test_an_example_answers_its_question_with_values(name: str, tried: dict[str, Future[Tried]]) -> None:
    done = tried[name].result()
    assert done.first.returncode == 0, done.first.stderr
    assert done.first.stderr == ""
    at = 0
    for pattern in PRINTED[name]:
        found = re.compile(pattern).search(done.first.stdout, at)
        assert found, f"{pattern!r} is not in, or not in this order:\n{done.first.stdout}"
        at = found.start()
    for path in MADE.get(name, []):
        assert (done.folder / path).stat().st_size > 100


@pytest.mark.parametrize("name", PRINTED)
def test_an_example_answers_the_same_when_it_is_run_again(name: str, tried: dict[str, Future[Tried]]) -> None:
    done = tried[name].result()
    assert done.second.returncode == 0, done.second.stderr
    assert without_times(done.second.stdout) == without_times(done.first.stdout)


def without_times(text: str) -> str:
    """Return what does not change from one run to the next: no times, names given by chance, or counts of the log."""
    text = re.sub(r"took \d+\.\d ms|answer_ms +\S+|\d{4}-\d\d-\d\dT\S+", "(time)", text)
    return re.sub(r"model-[0-9a-f]{12}|intact: \d+ items", "(other)", text)


@pytest.mark.parametrize("name", ["gate_before_deployment"])
def test_the_gate_ends_with_status_1_for_a_candidate_that_must_not_pass(
    name: str, tried: dict[str, Future[Tried]]
) -> None:
    folder = tried[name].result().folder
    refused = run_example(name, folder, "fast")
    assert (refused.returncode, refused.stderr) == (1, "")
    assert "refused because: one digit is neglected" in refused.stdout
    assert run_example(name, folder, "thorough").returncode == 0


@pytest.mark.parametrize("name", ["audit_pack"])
def test_a_changed_file_of_the_audit_pack_is_found_by_its_sum(name: str, tried: dict[str, Future[Tried]]) -> None:
    pack = tried[name].result().folder / "audit-pack"
    sums = dict(line.split("  ")[::-1] for line in (pack / "SHA256SUMS").read_text().splitlines())
    assert {path.relative_to(pack).as_posix() for path in pack.rglob("*") if path.is_file()} == {*sums, "SHA256SUMS"}
    with (pack / "records.jsonl").open("ab") as file:
        file.write(b"{}\n")
    wrong = [name for name in sums if hashlib.sha256((pack / name).read_bytes()).hexdigest() != sums[name]]
    assert wrong == ["records.jsonl"]


def test_every_file_has_its_question_its_test_and_its_row_in_the_table() -> None:
    files = {path.stem for path in FOLDER.glob("*.py")}
    assert files == set(PRINTED)
    table = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name in files:
        text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
        assert "?" in text[:300] or "wants" in text[:300]
        assert f"    python {name}.py" in text
        assert f"]({name}.py)" in table
        assert 60 <= len(text.splitlines()) <= 150
