"""How wide a `log()` row may be: a row travels whole, in a message that is bounded."""

from __future__ import annotations

from threading import RLock
from types import SimpleNamespace

import pytest

from contexta_client.capture import groups


@pytest.mark.parametrize(("width", "worth_it"), [(1, False), (2, True), (100, True), (65_536, True), (65_537, False)])
def test_a_row_that_would_not_fit_a_message_goes_as_single_metrics(width: int, worth_it: bool) -> None:
    known = groups.Groups(SimpleNamespace(block_limit=64 << 20), RLock())
    signature = tuple(map(str, range(width))), (float,) * width
    assert known.recurs(signature) is False  # the first time nothing does
    assert known.recurs(signature) is worth_it
