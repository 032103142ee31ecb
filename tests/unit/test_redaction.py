"""What a secret looks like, as an attacker of a record would plant it, and what must not be mistaken for one."""

from __future__ import annotations

import pytest

from contexta.config import UnifiedConfig
from contexta_client.capture.redaction import HIDDEN, MAX_CHARS, is_secret_name, redact_arguments, redact_text
from contexta_client.capture.scope_life import MAX_REASON_CHARS, outcome

NAMES = UnifiedConfig().security.secret_names
SECRET = "S3cr3tValue99"

OF_TWO_WORDS = [  # only a command line says of the next word what it is
    ["--pwd", SECRET],
    ["--pass", SECRET],
    ["--passphrase", SECRET],
    ["--accessKey", SECRET],
    ["--wandb_key", SECRET],
    ["-u", f"user:{SECRET}"],
    [f"--user=user:{SECRET}"],
]
COMMAND_LINES = [
    [f"--secretAccessKey={SECRET}"],
    [f'{{"api_key": "{SECRET}"}}'],
    [f'--config={{"password":"{SECRET}","x":1}}'],
    ["--config", f'{{"db":{{"password":"{SECRET}"}}}}'],
    [f"{{'token': '{SECRET}'}}"],
    [f"--set=db.password={SECRET}"],
    ["-e", f"PASSWORD={SECRET}"],
    [f"-eAPI_KEY={SECRET}"],
    [f"trainer={{api_key:{SECRET}}}"],
    ["-H", f"X-Api-Key: {SECRET}"],
    [f"--header=Authorization: token {SECRET}"],
    [f"postgresql://user:a@{SECRET}@host/db"],
    [f"postgresql://user:a/{SECRET}@host/db"],
    [f"https://user%40x:{SECRET}@host"],
    [f"//user:{SECRET}@host/x"],
    [f"user:{SECRET}@host:path"],
    [f"--password:{SECRET}"],
    [f"https://h/x?sig={SECRET}"],
    [f"https://h/x?X-Amz-Signature={SECRET}"],
    [f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={SECRET};EndpointSuffix=x"],
    [f"--dsn=host=h password={SECRET} user=u"],
    [f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----"],
]
TOKENS = [
    "ASIAABCDEFGHIJKLMNOP",
    "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "sk_live_abcdefghijklmnop",
    "npm_abcdefghijklmnopqrstuvwxyz0123456789",
    "pypi-AgEIcHlwaS5vcmcabcdef",
    "dckr_pat_abcdefghijklmnop",
    "xapp-1-A0-123-abcdef",
    "sk-ant-api03-abcdefghijklmnop",
]


@pytest.mark.parametrize("arguments", COMMAND_LINES + OF_TWO_WORDS)
def test_a_secret_is_found_wherever_it_stands_in_a_command_line(arguments: list[str]) -> None:
    kept = " ".join(redact_arguments(["train.py", *arguments, "--lr", "0.1"], NAMES))
    assert SECRET not in kept and HIDDEN in kept
    assert kept.startswith("train.py ") and kept.endswith(" --lr 0.1")


@pytest.mark.parametrize("arguments", COMMAND_LINES)
def test_a_secret_is_found_wherever_an_error_tells_it(arguments: list[str]) -> None:
    status, reason = outcome(RuntimeError, RuntimeError(f"cannot connect: {' '.join(arguments)}"), NAMES)
    assert status == "failed" and SECRET not in reason and reason.startswith("RuntimeError: cannot connect: ")


@pytest.mark.parametrize("token", TOKENS)
def test_the_forms_of_well_known_tokens_are_known(token: str) -> None:
    assert redact_text(f"failed with {token}, sorry", NAMES) == f"failed with {HIDDEN}, sorry"


@pytest.mark.parametrize(
    "text",
    [
        "registry:5000/a/b:tag@sha256:" + "0" * 64,
        "git@github.com:org/repo.git",
        "https://host:8080/@scope/package",
        "https://h/p?e=a%40b",
        "C:\\x\\y",
        "time=12:30:11",
        "a:b",
        "x=1,y=2",
        "size mismatch: expected (3, 4), got (4, 3)",
        "KeyError: 'weight'",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert redact_text(text, NAMES) == text
    assert redact_arguments([text], NAMES) == [text]


def test_words_of_a_name_may_be_joined_in_any_way() -> None:
    assert all(is_secret_name(name, NAMES) for name in ("apiKey", "API-KEY", "api_key", "X-Api-Key", "pgPassword"))
    assert is_secret_name("license", ["licen[cs]e"]) and not is_secret_name("licenze", ["licen[cs]e"])
    assert not any(is_secret_name(name, NAMES) for name in ("passes", "significance", "keyword", "compass"))


@pytest.mark.parametrize("part", ["a:", "a=b=", '{"a":', "u:", "k:\"\\", "a='", "x@", "//a:", "http://", "a.b-", " "])
def test_no_text_takes_long_however_it_is_made(part: str) -> None:
    text = part * (1_000_000 // len(part)) + SECRET
    assert len(redact_text(text, NAMES)) <= MAX_CHARS  # quadratic expressions would not end within the test's time


def test_an_exit_status_that_tells_a_secret_is_not_kept() -> None:
    assert outcome(SystemExit, SystemExit(f"no access: token={SECRET}"), NAMES) == (
        "failed", f"SystemExit: no access: token={HIDDEN}",
    )  # fmt: skip
    assert outcome(SystemExit, SystemExit(0), NAMES) == ("completed", "")
    assert outcome(ValueError, ValueError("x" * 10_000), NAMES)[1].startswith("ValueError: xxx")
    assert len(outcome(ValueError, ValueError("x" * 10_000), NAMES)[1]) == MAX_REASON_CHARS
