"""What can go wrong, as types with a stable code.

A message says what happened, where, and what to do about it. `code` is for programs and never changes its meaning,
`details` holds the values that the message speaks of, `retryable` says whether the same call can succeed later.
"""

from __future__ import annotations

from collections.abc import Mapping


class ContextaError(Exception):
    """The root of everything that Contexta raises on purpose."""

    default_code = "contexta_error"
    default_retryable = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        details: Mapping[str, object] | None = None,
        retryable: bool | None = None,
        cause: BaseException | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = self.default_code if code is None else code
        self.details: dict[str, object] = dict(details or {})
        self.retryable = self.default_retryable if retryable is None else retryable
        self.cause = cause
        if cause is not None:
            self.__cause__ = cause

    def to_dict(self) -> dict[str, object]:
        """Return what a program needs: error, code, message, details, retryable."""
        return {
            "error": type(self).__name__,
            "code": self.code,
            "message": self.message,
            "details": self.details,
            "retryable": self.retryable,
        }


class ValidationError(ContextaError, ValueError):
    """A value that the data model does not allow."""

    default_code = "invalid_value"


class LifecycleError(ContextaError):
    """A call at the wrong time: capture with no open run, a second open of something that is open."""

    default_code = "no_open_scope"


class ClosedScopeError(LifecycleError):
    """Capture on a scope that is closed."""

    default_code = "scope_closed"


class ConfigError(ContextaError, ValueError):
    """A configuration key that does not exist, or a value that it cannot take."""

    default_code = "config_invalid"


class NotFoundError(ContextaError, LookupError):
    """Nothing of that name or reference; the message names the nearest."""

    default_code = "not_found"


class AmbiguousError(ContextaError, LookupError):
    """A short name that fits several things; `details["matches"]` lists them."""

    default_code = "ambiguous"


class ConflictError(ContextaError):
    """Something else is kept under this name or reference already."""

    default_code = "conflict"


class DependencyError(ContextaError):
    """A library that an optional part needs is missing; the message names what to install."""

    default_code = "dependency_missing"


class PlatformError(ContextaError):
    """Contexta does not run on this operating system."""

    default_code = "platform_unsupported"


class StorageError(ContextaError):
    """The disk refused, or what it holds is not what was written."""

    default_code = "storage_failed"


class UnavailableError(ContextaError):
    """The daemon cannot be reached or cannot serve now."""

    default_code = "unavailable"
    default_retryable = True


class DeadlineError(ContextaError, TimeoutError):
    """Something took longer than the caller was ready to wait."""

    default_code = "deadline_exceeded"
    default_retryable = True


class VersionMismatchError(ContextaError):
    """Client and daemon speak no common version of the protocol, or a file is of a newer version."""

    default_code = "protocol_unsupported"


class AccessError(ContextaError):
    """The token is wrong, or a file belongs to another user."""

    default_code = "unauthenticated"


class RejectedError(ContextaError):
    """The daemon did not take what was sent: it is full, or the batch is out of order, damaged or too large."""

    default_code = "rejected"


# Codes that come over the wire -> the kind that is raised for them. A code that is not here is a ContextaError.
KIND_OF_CODE: dict[str, type[ContextaError]] = {
    "invalid_argument": ValidationError,
    "not_found": NotFoundError,
    "ambiguous": AmbiguousError,
    "storage_full": StorageError,
    "storage_failed": StorageError,
    "unavailable": UnavailableError,
    "draining": UnavailableError,
    "deadline_exceeded": DeadlineError,
    "protocol_unsupported": VersionMismatchError,
    "unauthenticated": AccessError,
    "admission_full": RejectedError,
    "sequence_gap": RejectedError,
    "checksum_mismatch": RejectedError,
    "session_closed": RejectedError,
    "batch_too_large": RejectedError,
    "record_conflict": RejectedError,
}


def error_from_code(
    code: str,
    message: str,
    *,
    details: Mapping[str, object] | None = None,
    retryable: bool | None = None,
    cause: BaseException | None = None,
) -> ContextaError:
    """Build the error of the kind that belongs to a code, to be raised by the caller."""
    kind = KIND_OF_CODE.get(code, ContextaError)
    return kind(message, code=code, details=details, retryable=retryable, cause=cause)


def nearest(name: str, known: list[str]) -> str:
    """Return ` Did you mean 'x'?` for a name that is close to a known one, else an empty text."""
    from difflib import get_close_matches

    matches = get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean {matches[0]!r}?" if matches else ""
