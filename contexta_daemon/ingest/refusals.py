"""Why an append is not taken, as types. Each tells its sender what to do: wait, go back, or give up."""

from __future__ import annotations

from contexta.errors import ContextaError


class RefusedError(ContextaError):
    """An append or a closing that was not taken; nothing of it is kept. `retry_after_ms` 0: no advice."""

    default_code = "refused"

    def __init__(self, message: str, *, retry_after_ms: int = 0, expected_sequence: int = 0) -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms
        self.expected_sequence = expected_sequence


class AdmissionFullError(RefusedError):
    """As much as may be waiting is waiting to become durable."""

    default_code = "admission_full"
    default_retryable = True


class SequenceGapError(RefusedError):
    """The batch does not begin where the session stands: go on from `expected_sequence`."""

    default_code = "sequence_gap"
    default_retryable = True


class ChecksumMismatchError(RefusedError):
    """The body is not what its sender made: send it again."""

    default_code = "checksum_mismatch"
    default_retryable = True


class SessionClosedError(RefusedError):
    """The session was closed; nothing can be added to it."""

    default_code = "session_closed"


class BatchTooLargeError(RefusedError):
    """The body is over the limit: send smaller batches."""

    default_code = "batch_too_large"


class InvalidRequestError(RefusedError):
    """A field of the request has a value that it cannot have."""

    default_code = "invalid_argument"


class StorageFullError(RefusedError):
    """The disk has no room. Kept by the sender until there is."""

    default_code = "storage_full"
    default_retryable = True


class StorageFailedError(RefusedError):
    """The disk refused to write, read-only or failing."""

    default_code = "storage_failed"
    default_retryable = True


class DrainingError(RefusedError):
    """The daemon is ending."""

    default_code = "draining"
    default_retryable = True
