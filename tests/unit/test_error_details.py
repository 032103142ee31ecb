"""What a failed call carries, without gRPC."""

import base64
import urllib.parse

import anyio
import pytest

from contexta.errors import NotFoundError
from contexta.v1 import status_pb2
from contexta_daemon.service.errors import ERROR_KEY, abort


class AbortedError(Exception):
    """Stands for what gRPC raises."""


class Context:
    """Keeps what a call was ended with."""

    async def abort(self, code, message, metadata):
        self.code, self.message, self.metadata = code, message, dict(metadata)
        raise AbortedError


def aborted(error):
    context = Context()

    async def main():
        with pytest.raises(AbortedError):
            await abort(context, error)

    anyio.run(main)
    return context, status_pb2.ErrorDetail.FromString(context.metadata[ERROR_KEY])


@pytest.mark.parametrize("letter", ["x", "ä", "學"])
def test_an_error_of_any_length_fits_what_grpc_takes_and_keeps_its_code(letter):
    long = letter * 20_000
    context, detail = aborted(NotFoundError(f"There is no run {long}. Begin.", details={"a": long, "b": long}))
    size = len(urllib.parse.quote(context.message)) + len(base64.b64encode(context.metadata[ERROR_KEY]))
    assert size < 8_000
    assert detail.code == "not_found" and set(detail.details) == {"a", "b"}
    for said in (context.message, detail.message):
        assert said.startswith("There is no run ") and said.endswith(". Begin.") and letter + " ... " in said


def test_a_short_error_is_carried_as_it_is():
    context, detail = aborted(NotFoundError("There is no run 'ü'.", details={"nearest": "u"}))
    assert (context.message, detail.message, dict(detail.details)) == (*["There is no run 'ü'."] * 2, {"nearest": "u"})
