"""What every command shares: how answers are printed, and how errors end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from contexta.config import load_config
from contexta.errors import NotFoundError
from contexta_client.cli.output import Terminal, handled, human_bytes, human_seconds, number, plain, shown


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("COLUMNS", "80")
    return Terminal(tmp_path / "ws", False, load_config(workspace=tmp_path / "ws"))


def test_help_imports_nothing_that_it_does_not_need() -> None:
    code = (
        "import sys; sys.argv = ['contexta', '--help']\n"
        "from contexta_client.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'grpc', 'google', 'rich', 'numpy', 'contexta.config', 'contexta_client.launch', 'json.tool'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "contexta run show linear-svm" in done.stdout


def test_a_module_run_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "contexta_client.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("contexta, version ")


def test_a_table_fits_80_columns_and_folds_only_what_may_be_folded(terminal: Terminal, capsys) -> None:
    terminal.print_table(
        ["~run", "status", ">metrics"], [("project." + "long-name-" * 12, "completed", 1234567)], empty=""
    )
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[1].endswith("completed  1,234,567")
    assert "".join(line[:58].strip() for line in lines[1:]).startswith("project.long-name-")


def test_what_has_no_room_is_printed_beyond_it_and_never_cut(terminal: Terminal, capsys) -> None:
    runs = [f"resnet50-lr3e4-seed{number}" for number in range(6)]
    row = ("evaluate", "accuracy-on-the-held-out-part", *["2.46912e+12"] * 6)
    terminal.print_table(["~stage", "~metric", *(f">{run}" for run in runs)], [row], empty="")
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["stage", "metric", *runs]
    assert lines[0].split()[2:] == ["2.46912e+12"] * 6
    assert "".join(line[10:22].strip() for line in lines) == "accuracy-on-the-held-out-part"


def test_where_no_terminal_reads_nothing_is_folded(terminal: Terminal, capsys, monkeypatch) -> None:
    monkeypatch.delenv("COLUMNS")
    terminal.print_table(["~run", ">value"], [("project." + "long-name-" * 30, 1)], empty="")
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_an_answer_that_nobody_reads_to_its_end_keeps_its_exit_status() -> None:
    code = (
        "import os, sys\n"
        "from contexta_client.cli.output import exits_with, handled\n"
        "os.close(os.pipe()[0]); reading, writing = os.pipe(); os.close(reading); os.dup2(writing, 1)\n"
        "with handled(lambda: False):\n"
        "    exits_with(1)\n"
        "    print('x' * 100_000)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")


def test_an_empty_table_says_so(terminal: Terminal, capsys) -> None:
    terminal.print_table(["run"], [], empty="There are no runs yet.")
    assert capsys.readouterr().out == "There are no runs yet.\n"


def test_what_was_captured_acts_neither_on_the_terminal_nor_as_markup(terminal: Terminal, capsys) -> None:
    terminal.print_table(["name"], [("[red]x[/red] \x1b[31m\x07\u202e",)], empty="")
    assert r"[red]x[/red] \x1b[31m\x07\u202e" in capsys.readouterr().out
    terminal.print_table(["[red]x[/red]\x07"], [("y",)], empty="")  # a run's name, where runs are compared
    assert r"[red]x[/red]\x07" in capsys.readouterr().out
    assert plain("a\nb\t\x9b\u2028c\ud800") == r"a\nb\t\x9b\u2028c\ud800"
    assert plain("한국어 é 🙂") == "한국어 é 🙂"


@pytest.mark.parametrize("streams", [">&-", "<&- >&- 2>&-", "2>&-"])
def test_a_command_whose_streams_are_closed_ends_as_others_do(tmp_path: Path, streams: str) -> None:
    command = f'"{sys.executable}" -m contexta_client.cli'
    for words, status in (("--help", 0), (f"--workspace '{tmp_path}/none' runs", 1), ("runs --nope", 2)):
        done = subprocess.run(f"{command} {words} {streams}", shell=True, capture_output=True, text=True)
        assert (done.returncode, "Traceback" in done.stderr) == (status, False), done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_help_that_cannot_be_printed_is_an_error_of_one_line() -> None:
    for words in (["--help"], ["runs", "--help"], ["--version"]):
        with Path("/dev/full").open("w") as full:
            command = [sys.executable, "-m", "contexta_client.cli", *words]
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
        assert (done.returncode, done.stderr) == (1, "contexta: [Errno 28] No space left on device\n")


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (1234567, "1,234,567"), (True, "True"), (0.5, "0.5"), ("1234", "1234")]
)
def test_values_are_shown_for_people(value: object, text: str) -> None:
    assert shown(value) == text


def test_amounts_are_in_units_that_people_read() -> None:
    assert [human_bytes(n) for n in (0, 1023, 1536, 64 << 20, 5 << 40)] == [
        "0 B", "1023 B", "1.5 KiB", "64.0 MiB", "5120.0 GiB",
    ]  # fmt: skip
    assert [human_seconds(n) for n in (0, 0.25, 119, 600, 9000)] == ["0.0 s", "0.2 s", "119.0 s", "10 min", "2.5 h"]


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (NotFoundError("no run\x1b"), 1, "contexta: no run\\x1b\n"),
        (OSError(28, "No space left on device"), 1, "contexta: [Errno 28] No space left on device\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_a_command_ends_with_the_status_that_the_help_tells(error: BaseException, code: int, said: str, capsys) -> None:
    with pytest.raises(SystemExit) as ended, handled(lambda: False):
        raise error
    assert ended.value.code == code
    assert capsys.readouterr().err == said


def test_errors_are_json_for_programs(capsys) -> None:
    with pytest.raises(SystemExit) as ended, handled(lambda: True):
        raise NotFoundError("no run", details={"near": Path("x")})
    assert ended.value.code == 1
    assert capsys.readouterr().err == (
        '{"error": "NotFoundError", "code": "not_found", "message": "no run", "details": {"near": "x"}, '
        '"retryable": false}\n'
    )
    with pytest.raises(SystemExit) as ended, handled(lambda: True):
        raise click.UsageError("no such option")
    assert ended.value.code == 2
    assert capsys.readouterr().err == '{"error": "UsageError", "code": "usage", "message": "no such option"}\n'


def test_numbers_for_people_have_six_digits_and_nan_is_said() -> None:
    given = [0.1234567, 3.0, 1234567.0, 1200, float("nan"), float("-inf"), None]
    assert [number(each) for each in given] == ["0.123457", "3", "1.23457e+06", "1,200", "NaN", "-inf", "-"]
