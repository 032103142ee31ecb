"""Taking secrets out of what is recorded about a process by itself: arguments, URLs, variables, error messages.

A secret is known by the name that stands before it, by where it stands in a URL, or by its own form. One that has none
of these (a bare word after `-p`) cannot be told from any other text. In doubt text is hidden.

Runs at the beginning of each run, so expressions are compiled only when a text shows that one may apply. Each begins
where a word does, so that none looks at a long text more than a few times.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache

HIDDEN = "[redacted]"
MAX_CHARS = 16_384  # of one text; what is behind is cut off before it is looked at

# What stands before the last @ of a host; a password may hold an @ itself, and after `user:` a slash.
_URL_USER = r"(?<![a-zA-Z0-9+.-])((?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//)(?:[^/\s:@]*:(?!\d+/)[^\s]*|[^/\s]+)@"
# user:password@host, as scp and curl take it; not the name, tag and digest of an image.
_HOST_USER = r"(?<![\w./-])([\w.%+-]+):[^\s/@]+@(?!sha\d+:)(?=[\w\[])"
# A name and what is between it and its value, as of queries, JSON, headers, connection strings, overrides: `a.b=x`,
# `"a": "x"`, `A-B: x`.
_NAME = r"(?<![\w.%-])-{0,2}([A-Za-z_][\w.-]*)[\"']?\s*[=:]\s*(?!//)"
_VALUE = (
    r"\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?|(?:(?i:bearer|basic|token|digest|negotiate)\s+)?[^\s,;&#\"'{}\[\]]+"
)
_BEARER = r"(?i)\b(bearer|basic)[\s:]+[\w+/=.~-]{6,}"
# Forms that tokens of well-known services have, whatever the argument before them is called.
_TOKEN_HEADS = (
    "gh", "glpat-", "sk-", "sk_", "rk_", "hf_", "xox", "xapp-", "AKIA", "ASIA", "AIza", "npm_", "pypi-", "dckr_pat_",
    "SG.", "eyJ", "PRIVATE KEY",
)  # fmt: skip
_TOKENS = (
    r"(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{15,}|\bsk-[\w-]{16,}|\b[sr]k_(?:live|test)_\w{10,}"
    r"|hf_[A-Za-z0-9]{20,}|xox[abeprs]-[\w-]{10,}|xapp-[\w-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{16}(?:[\s:,;/]+[\w/+=]{40})?"
    r"|AIza[\w-]{30,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{16,}|dckr_pat_[\w-]{16,}|\bSG\.[\w-]{16,}\.[\w-]{16,}"
    r"|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*|-----BEGIN [A-Z ]*PRIVATE KEY[\s\S]*?(?:-----END [A-Z ]*-----|\Z))"
)
_USER_OPTIONS = frozenset({"-u", "--user", "--proxy-user", "--userpwd", "--login"})  # take user:password


def is_secret_name(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name matches one of the patterns of `security.secret_names`, however its words are joined: `api_key`,
    `api-key` and `apiKey` are alike."""
    lowered = name.lower()
    forms = {lowered, lowered.replace("-", "_"), lowered.replace("_", "-"), _joined(lowered)}
    inner, others = _prepared(tuple(patterns))
    return any(each in form for form in forms for each in inner) or any(
        fnmatchcase(form, each) for form in forms for each in others
    )


def redact_text(text: str, patterns: Sequence[str]) -> str:
    """Hide what a text shows of secrets: users and passwords of URLs and hosts, values of secret names, well-known
    tokens. It is cut at MAX_CHARS."""
    text = text[:MAX_CHARS]
    if "@" in text:
        if "//" in text:
            text = re.sub(_URL_USER, rf"\1{HIDDEN}@", text)
        if ":" in text:
            text = re.sub(_HOST_USER, rf"\1:{HIDDEN}@", text)
    lowered = text.lower()
    if "bearer" in lowered or "basic" in lowered:
        text = re.sub(_BEARER, rf"\1 {HIDDEN}", text)
    if any(head in text for head in _TOKEN_HEADS):
        text = re.sub(_TOKENS, HIDDEN, text)
    if "=" in text or ":" in text:
        text = _without_values(text, patterns)
    return text


def redact_arguments(arguments: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Hide secrets in a command line: `--token=x`, `--api-key x`, `PASSWORD=x`, `-u user:x`, and what `redact_text`
    finds."""
    kept: list[str] = []
    before = ""
    for argument in arguments:
        if _names_a_secret(before, patterns) and not argument.startswith("--"):
            kept.append(HIDDEN)
            before = ""
            continue
        kept.append(_argument(argument, before, patterns))
        before = argument
    return kept


def redact_variables(environ: Mapping[str, str], allowed: Sequence[str], patterns: Sequence[str]) -> dict[str, str]:
    """Return the allowed variables that are set; the value of one whose name says secret is hidden all the same."""
    return {
        name: HIDDEN if is_secret_name(name, patterns) else redact_text(environ[name], patterns)
        for name in allowed
        if name in environ
    }


def _argument(argument: str, before: str, patterns: Sequence[str]) -> str:
    name, equals, value = argument.partition("=")
    if equals and is_secret_name(name.lstrip("-"), patterns) and not any(mark in name for mark in " /?&:\"'"):
        return f"{name}={HIDDEN}"
    option, given = (name, value) if equals else (before, argument)
    if option in _USER_OPTIONS and ":" in given and "://" not in given:
        hidden = f"{given.partition(':')[0]}:{HIDDEN}"
        return f"{name}={hidden}" if equals else hidden
    return redact_text(argument, patterns)


def _names_a_secret(argument: str, patterns: Sequence[str]) -> bool:
    return argument.startswith("-") and "=" not in argument and is_secret_name(argument.lstrip("-"), patterns)


def _without_values(text: str, patterns: Sequence[str]) -> str:
    """Hide the values of secret names. The value of another may hold pairs of its own: `--set=db.password=x`."""
    name, value = re.compile(_NAME), re.compile(_VALUE)
    kept: list[str] = []
    done = at = 0
    while (found := name.search(text, at)) is not None:
        at = found.end()
        hidden = value.match(text, at) if is_secret_name(found[1], patterns) else None
        if hidden is not None:
            mark = hidden[0][0] if hidden[0][0] in "\"'" else ""
            kept.append(f"{text[done:at]}{mark}{HIDDEN}{mark}")
            done = at = hidden.end()
    return "".join((*kept, text[done:]))


def _joined(name: str) -> str:
    """The same name without what joins its words."""
    return name.replace("-", "").replace("_", "")


@lru_cache(maxsize=4)
def _prepared(patterns: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The patterns in the forms that names are compared in: those of the usual `*word*` as words, and the others."""
    words: set[str] = set()
    others: set[str] = set()
    for pattern in map(str.lower, patterns):
        inner = pattern.strip("*")
        if pattern == f"*{inner}*" and not any(mark in inner for mark in "*?["):
            words |= {inner, _joined(inner)}
        else:
            others.add(pattern)
    return tuple(sorted(words)), tuple(sorted(others))
