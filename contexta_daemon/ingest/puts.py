"""What programs put through the stores, gathered: all that wait at one time share a commit.

Models and records go into the log like captured ones, in the daemon's own session. A record's reference may be put
again with the same content, which stores nothing; with another content it is refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import anyio
import anyio.to_thread

from contexta.v1 import capture_pb2
from contexta_daemon.catalog.stored import digest_of
from contexta_daemon.log import MAX_BODY_BYTES

from .refusals import BatchTooLargeError, DrainingError, RefusedError

MAX_APPEND_BYTES = MAX_BODY_BYTES // 2
MAX_WAITING_BYTES = 64 << 20


class RecordConflictError(RefusedError):
    """A record of this reference is stored with other content. Records never change: give the new one another."""

    default_code = "record_conflict"


class TooManyPutsError(RefusedError):
    """More is waiting to be stored than may wait."""

    default_code = "admission_full"
    default_retryable = True


@dataclass(eq=False)
class _Put:
    """One call: its entries, with the digests of those that are records; then which of them were stored before."""

    entries: list[capture_pb2.Entry]
    digests: dict[str, bytes]
    size_bytes: int
    done: anyio.Event = field(default_factory=anyio.Event)
    duplicates: set[str] = field(default_factory=set)
    error: Exception | None = None

    def finish(self, error: Exception | None = None) -> None:
        """Tell the caller how it went, unless that was told: what is durable stays so, whatever comes later."""
        if not self.done.is_set():
            self.error = error
            self.done.set()


class Puts:
    """Takes puts of any number of callers; `run` commits them, in the order in which they came."""

    def __init__(
        self,
        append: Callable[[Sequence[capture_pb2.Entry]], Awaitable[None]],
        *,
        caught_up: Callable[[], Awaitable[None]],
        stored_digests: Callable[[Sequence[str]], Mapping[str, bytes]],
        clock_ns: Callable[[], int],
    ) -> None:
        """caught_up: waits until the catalog has all that is durable. stored_digests: of the records it knows, in a
        thread."""
        self._append = append
        self._caught_up = caught_up
        self._stored_digests = stored_digests
        self._clock_ns = clock_ns
        self._waiting: list[_Put] = []
        self._waiting_bytes = 0
        self._come = anyio.Event()

    async def put_models(self, models: Sequence[capture_pb2.ModelStored]) -> None:
        """Return once all are durable. Raises a RefusedError, and then none is stored."""
        await self._put(_Put([self._entry(model=each) for each in models], {}, _size(models)))

    async def put_records(self, records: Sequence[capture_pb2.RecordStored]) -> set[str]:
        """Return, once all are durable, the references that had been stored before.

        Raises RecordConflictError or another RefusedError, and then none is stored.
        """
        digests: dict[str, bytes] = {}
        entries = []
        for each in records:
            digest = digest_of(each)
            if each.ref not in digests:
                digests[each.ref] = digest
                entries.append(self._entry(record=each))
            elif digests[each.ref] != digest:
                raise _conflict(each.ref)
        put = _Put(entries, digests, _size(records))
        await self._put(put)
        return put.duplicates

    async def run(self) -> None:
        """Commit what waits, until cancelled."""
        while True:
            await self._come.wait()
            self._come = anyio.Event()
            puts, self._waiting, self._waiting_bytes = self._waiting, [], 0
            try:
                await self._commit(puts)
            except Exception as error:  # each caller is told that has not been
                for put in puts:
                    put.finish(error)
            finally:  # whoever has not been told yet was cut off by the end
                for put in puts:
                    put.finish(DrainingError("the daemon is ending", retry_after_ms=1000))

    async def _put(self, put: _Put) -> None:
        if put.size_bytes > MAX_APPEND_BYTES:
            raise BatchTooLargeError(f"{put.size_bytes} bytes were put at once; the limit is {MAX_APPEND_BYTES}: "
                                     "put fewer in a call")  # fmt: skip
        if self._waiting_bytes + put.size_bytes > MAX_WAITING_BYTES:
            raise TooManyPutsError("more is put than can be written; try again", retry_after_ms=100)
        self._waiting.append(put)
        self._waiting_bytes += put.size_bytes
        self._come.set()
        await put.done.wait()
        if put.error is not None:
            raise put.error

    async def _commit(self, puts: Sequence[_Put]) -> None:
        await self._look_for_known(puts)
        group: list[_Put] = []
        size = 0
        for put in puts:
            if put.done.is_set():
                continue
            if size + put.size_bytes > MAX_APPEND_BYTES:
                await self._append_group(group)
                group, size = [], 0
            group.append(put)
            size += put.size_bytes
        await self._append_group(group)

    async def _append_group(self, group: Sequence[_Put]) -> None:
        entries = [each for put in group for each in put.entries if each.record_stored.ref not in put.duplicates]
        if entries:
            await self._append(entries)
        for put in group:
            put.finish()

    async def _look_for_known(self, puts: Sequence[_Put]) -> None:
        refs = list({ref for put in puts for ref in put.digests})
        if not refs:
            return
        await self._caught_up()
        known = dict(await anyio.to_thread.run_sync(self._stored_digests, refs))
        for put in puts:
            conflict = next((ref for ref, digest in put.digests.items() if known.get(ref, digest) != digest), None)
            if conflict is not None:
                put.finish(_conflict(conflict))
                continue
            put.duplicates = {ref for ref in put.digests if ref in known}
            known |= put.digests

    def _entry(
        self, *, model: capture_pb2.ModelStored | None = None, record: capture_pb2.RecordStored | None = None
    ) -> capture_pb2.Entry:
        return capture_pb2.Entry(time_ns=self._clock_ns(), model_stored=model, record_stored=record)


def _conflict(ref: str) -> RecordConflictError:
    return RecordConflictError(f"{ref} is stored with other content. Records never change: use another reference.")


def _size(items: Sequence[capture_pb2.ModelStored] | Sequence[capture_pb2.RecordStored]) -> int:
    return sum(each.ByteSize() + 32 for each in items)
