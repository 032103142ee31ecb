"""What a capture call returns.

A result says what became of the call, never by raising: `ok` for a glance, `status`, `accepted`, `dropped` and `reason`
for more. Imported in the training process, so it imports next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

ACCEPTED: Final = "accepted"  # it is in the spool: it survives the death of this process
DROPPED: Final = "dropped"  # it was not kept; counted, and reported with its reason
PARTIAL: Final = "partial"  # of a plural call: some were kept, some were not

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class PayloadFamily(StrEnum):
    """What a captured payload is, as the capture files and the sinks name it."""

    RECORD = "RECORD"
    ARTIFACT = "ARTIFACT"
    CONTEXT = "CONTEXT"
    DEGRADATION = "DEGRADATION"


class CaptureResult:
    """What became of one capture call. Immutable for its reader; common results are shared objects.

    `payload` of an artifact holds `manifest`, `binding_status` and `source`; it may be given as a function, which is
    called when the payload is first looked at, so that making it costs the training loop nothing.
    """

    __slots__ = ("_payload", "_wait", "accepted", "dropped", "family", "reason", "status")

    def __init__(
        self,
        status: str = ACCEPTED,
        *,
        family: PayloadFamily = PayloadFamily.RECORD,
        payload: Mapping[str, Any] | Callable[[], Mapping[str, Any]] = _NOTHING,
        accepted: int = 1,
        dropped: int = 0,
        reason: str = "",
        wait: Callable[[float | None], Any] | None = None,
    ) -> None:
        self.status = status
        self.family = family
        self.accepted = accepted  # captured values or entries that are in the spool
        self.dropped = dropped
        self.reason = reason  # why something was dropped or refused, for people; empty: nothing was
        self._payload = payload
        self._wait = wait

    @property
    def ok(self) -> bool:
        """Whether everything of the call was kept."""
        return self.status == ACCEPTED

    @property
    def payload(self) -> Mapping[str, Any]:
        """What was captured, where a caller needs it back: an artifact's manifest. Empty for records."""
        if callable(self._payload):
            self._payload = self._payload()
        return self._payload

    def wait(self, timeout: float | None = None) -> Any:
        """Wait until what follows the call is there, and return it: an artifact's manifest with its hash.

        timeout: seconds, None for no bound. Raises DeadlineError. Returns at once where nothing follows.
        """
        return self._wait(timeout) if self._wait is not None else self.payload.get("manifest")

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        counts = f"accepted={self.accepted}, dropped={self.dropped}"
        return f"{type(self).__name__}(status={self.status!r}, family={self.family.value}, {counts}, {self.reason!r})"


class BatchCaptureResult(CaptureResult):
    """What became of a plural call: the results in the order of the emissions."""

    __slots__ = ("results",)

    def __init__(self, results: tuple[CaptureResult, ...], *, family: PayloadFamily = PayloadFamily.RECORD) -> None:
        good = sum(result.ok for result in results)
        status = ACCEPTED if good == len(results) else PARTIAL if good else DROPPED
        super().__init__(
            status,
            family=family,
            accepted=sum(result.accepted for result in results),
            dropped=sum(result.dropped for result in results),
            reason=next((result.reason for result in results if result.reason), ""),
        )
        self.results = results

    def wait(self, timeout: float | None = None) -> list[Any]:
        """Wait for each result in turn, `timeout` seconds in all, and return what they return."""
        if timeout is None:
            return [result.wait() for result in self.results]
        from time import monotonic

        end = monotonic() + timeout
        return [result.wait(max(0.0, end - monotonic())) for result in self.results]

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[CaptureResult]:
        return iter(self.results)

    def __getitem__(self, index: int) -> CaptureResult:
        return self.results[index]


SUCCESS: Final = CaptureResult()  # the result of nearly every call


def dropped(reason: str, *, family: PayloadFamily = PayloadFamily.RECORD, count: int = 1) -> CaptureResult:
    """Return the result of a call of which nothing was kept."""
    return CaptureResult(DROPPED, family=family, accepted=0, dropped=count, reason=reason)
