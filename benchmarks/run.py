"""Run the benchmarks one after another and write docs/benchmarks.md, and the table of the torch loop in the README.

    python benchmarks/run.py [--quick] [--only-write] [NAME...]

Each program runs in a process of its own and keeps its figures in benchmarks/results; the page is made of all that are
there, so that naming some renews only those. With --quick the page is left as it is.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
PAGE = HERE.parent / "docs" / "benchmarks.md"
README = HERE.parent / "README.md"
README_BEGIN, README_END = "<!-- from benchmarks/real_loop.py -->", "<!-- to here -->"
NAMES = [
    "call", "log_call", "throughput", "loop_overhead", "startup", "memory", "disk_bytes", "series", "artifact",
    "compare", "run_list", "reports_beside", "trackers", "real_loop",
]  # fmt: skip


def main() -> int:
    options = _options()
    failed = []
    for name in [] if options.only_write else options.names or available():
        command = [sys.executable, str(HERE / f"{name}.py"), *(["--quick"] if options.quick else [])]
        print(f"=== {name}", flush=True)
        if subprocess.run(command).returncode:
            failed.append(name)
    if not options.quick:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page())
        print(f"written: {PAGE}")
        if _has_result("real_loop"):
            _renew_readme()
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def available() -> list[str]:
    """Return the names of the programs that are there, in the page's order."""
    return [name for name in NAMES if (HERE / f"{name}.py").exists()]


def page() -> str:
    """Return docs/benchmarks.md, from all results."""
    reports = [json.loads((RESULTS / f"{name}.json").read_text()) for name in NAMES if _has_result(name)]
    lines = [
        "# Benchmarks",
        "",
        "Written by `python benchmarks/run.py` from what its programs measured; nothing here is edited by hand. Every",
        "figure stands beside yardsticks taken in the same run, because a machine is not equally fast at all times.",
        "A goal that is not reached says so.",
        "",
        "## Goals",
        "",
        "| what | goal | measured | |",
        "|---|---|---|---|",
    ]
    for report in reports:
        for what, goal, measured, reached in report["goals"]:
            verdict = "reached" if reached else "**not reached**"
            lines.append(f"| [{what}](#{_anchor(report['title'])}) | {goal} | {measured} | {verdict} |")
    for report in reports:
        lines += ["", f"## {report['title']}", "", report["what"], ""]
        lines.append(f"`python benchmarks/{report['name']}.py`, {report['date']}, {report['machine']}.")
        for table in report["tables"]:
            lines += ["", f"{table['caption']}:", "", _row(table["columns"]), _row(["---"] * len(table["columns"]))]
            lines += [_row(row) for row in table["rows"]]
        lines += ["", *(f"- {remark}" for remark in report["remarks"])] if report["remarks"] else []
    return "\n".join(lines) + "\n"


def _renew_readme() -> None:
    """Put the tables of the torch loop between their marks in the README."""
    from real_loop import readme_lines

    before, begin, rest = README.read_text().partition(README_BEGIN)
    _, end, after = rest.partition(README_END)
    if not end:
        sys.exit(f"{README} has no room for the table: {README_BEGIN} or {README_END} is missing")
    lines = readme_lines(json.loads((RESULTS / "real_loop.json").read_text()))
    README.write_text(before + begin + "\n".join(lines) + "\n\n" + end + after)
    print(f"written: {README}")


def _has_result(name: str) -> bool:
    path = RESULTS / f"{name}.json"
    return path.exists() and not json.loads(path.read_text())["quick"]


def _anchor(title: str) -> str:
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run the benchmarks and write docs/benchmarks.md.")
    parser.add_argument("--quick", action="store_true", help="small sizes, only to see that the programs work")
    parser.add_argument("--only-write", action="store_true", help="measure nothing, write the page anew")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(available())}; all when none is named")
    options = parser.parse_args()
    if unknown := set(options.names) - set(available()):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    return options


if __name__ == "__main__":
    sys.exit(main())
