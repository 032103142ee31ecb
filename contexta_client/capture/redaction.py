"""Taking secrets out of what is recorded about a process: arguments, URLs, variables.

Runs at the beginning of each run, so expressions are compiled only when a text shows that one may apply.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

HIDDEN = "[redacted]"

_URL_USER = r"([a-zA-Z][a-zA-Z0-9+.-]*://)[^/@\s]+@"
_QUERY = r"([?&;#])([^=&;#\s]+)=([^&;#\s]*)"
_BEARER = r"(?i)\b(bearer|basic)[\s:]+[\w+/=.~-]{6,}"
# Forms that tokens of well-known services have, whatever the argument before them is called.
_TOKEN_HEADS = ("gh", "glpat-", "sk-", "hf_", "xox", "AKIA", "eyJ")
_TOKENS = (
    r"(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{15,}|\bsk-[\w-]{16,}|hf_[A-Za-z0-9]{20,}"
    r"|xox[abprs]-[\w-]{10,}|AKIA[A-Z0-9]{16}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*)"
)


def is_secret_name(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name matches one of the patterns of `security.secret_names`; `-` and `_` are alike."""
    lowered = name.lower()
    forms = {lowered, lowered.replace("-", "_"), lowered.replace("_", "-")}
    return any(_matches(form, pattern.lower()) for pattern in patterns for form in forms)


def redact_text(text: str, patterns: Sequence[str]) -> str:
    """Hide what a text shows of secrets: users and passwords in URLs, secret query fields, well-known tokens."""
    if "://" in text and "@" in text:
        text = re.sub(_URL_USER, rf"\1{HIDDEN}@", text)
    lowered = text.lower()
    if "bearer" in lowered or "basic" in lowered:
        text = re.sub(_BEARER, rf"\1 {HIDDEN}", text)
    if any(head in text for head in _TOKEN_HEADS):
        text = re.sub(_TOKENS, HIDDEN, text)

    def field(match: re.Match[str]) -> str:
        before, name, _ = match.groups()
        return f"{before}{name}={HIDDEN}" if is_secret_name(name, patterns) else match.group()

    if "=" in text and any(mark in text for mark in "?&;#"):
        text = re.sub(_QUERY, field, text)
    return text


def redact_arguments(arguments: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Hide secrets in a command line: `--token=x`, `--api-key x`, `PASSWORD=x`, and what `redact_text` finds."""
    kept: list[str] = []
    hide_next = False
    for argument in arguments:
        if hide_next and not argument.startswith("--"):
            kept.append(HIDDEN)
            hide_next = False
            continue
        hide_next = False
        name, equals, _ = argument.partition("=")
        if equals and is_secret_name(name.lstrip("-"), patterns) and not any(mark in name for mark in " /?&:"):
            kept.append(f"{name}={HIDDEN}")
            continue
        hide_next = argument.startswith("-") and not equals and is_secret_name(argument.lstrip("-"), patterns)
        kept.append(redact_text(argument, patterns))
    return kept


def redact_variables(environ: Mapping[str, str], allowed: Sequence[str], patterns: Sequence[str]) -> dict[str, str]:
    """Return the allowed variables that are set; the value of one whose name says secret is hidden all the same."""
    return {
        name: HIDDEN if is_secret_name(name, patterns) else redact_text(environ[name], patterns)
        for name in allowed
        if name in environ
    }


def _matches(name: str, pattern: str) -> bool:
    inner = pattern.strip("*")
    if pattern == f"*{inner}*" and not any(mark in inner for mark in "*?["):
        return inner in name  # the usual form, without compiling an expression for it
    return fnmatchcase(name, pattern)
