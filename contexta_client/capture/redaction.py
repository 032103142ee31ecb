"""Taking secrets out of what is recorded about a process: arguments, URLs, variables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

HIDDEN = "[redacted]"

_URL_USER = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://)[^/@\s]+@")
_OPTION = re.compile(r"(--?[^=\s]+|[A-Za-z_][\w.-]*)=(.*)", re.DOTALL)
_QUERY = re.compile(r"([?&;])([^=&;#\s]+)=([^&;#\s]*)")
# Forms that tokens of well-known services have, whatever the argument before them is called.
_TOKENS = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{15,}|sk-[\w-]{16,}|hf_[A-Za-z0-9]{20,}"
    r"|xox[abprs]-[\w-]{10,}|AKIA[A-Z0-9]{16}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*)"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w+/=.~-]{6,}")


def is_secret_name(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name matches one of the patterns of `security.secret_names`."""
    lowered = name.lower().replace(" ", "_")
    return any(fnmatchcase(lowered, pattern.lower()) for pattern in patterns)


def redact_text(text: str, patterns: Sequence[str]) -> str:
    """Hide what a text shows of secrets: users and passwords in URLs, secret query fields, well-known tokens."""
    text = _URL_USER.sub(rf"\1{HIDDEN}@", text)
    text = _BEARER.sub(rf"\1 {HIDDEN}", text)
    text = _TOKENS.sub(HIDDEN, text)

    def field(match: re.Match[str]) -> str:
        before, name, _ = match.groups()
        return f"{before}{name}={HIDDEN}" if is_secret_name(name, patterns) else match.group()

    return _QUERY.sub(field, text)


def redact_arguments(arguments: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Hide secrets in a command line: `--token=x`, `--api-key x`, `PASSWORD=x`, URLs."""
    kept: list[str] = []
    hide_next = False
    for argument in arguments:
        if hide_next and not argument.startswith("--"):
            kept.append(HIDDEN)
            hide_next = False
            continue
        hide_next = False
        option = _OPTION.fullmatch(argument)
        if option is not None and is_secret_name(option[1].lstrip("-"), patterns):
            kept.append(f"{option[1]}={HIDDEN}")
            continue
        if argument.startswith("-") and is_secret_name(argument.lstrip("-"), patterns):
            hide_next = True
        kept.append(redact_text(argument, patterns))
    return kept


def redact_variables(environ: Mapping[str, str], allowed: Sequence[str], patterns: Sequence[str]) -> dict[str, str]:
    """Return the allowed variables that are set; the value of one whose name says secret is hidden all the same."""
    return {
        name: HIDDEN if is_secret_name(name, patterns) else redact_text(environ[name], patterns)
        for name in allowed
        if name in environ
    }
