"""Which scope is the innermost open one, in each thread and each asyncio task.

A scope remembers what was current when it was opened; a closed one is passed over. So nothing has to be reset in the
order it was set, which generators, callbacks and notebooks do not keep. Always: following `outer` and `parent` ends.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from .scopes import Scope

ScopeT = TypeVar("ScopeT", bound="Scope")


class Current:
    """The current scope of one recorder."""

    def __init__(self) -> None:
        self.variable: ContextVar[Scope | None] = ContextVar("contexta_scope", default=None)

    def innermost(self) -> Scope | None:
        """Return the innermost open scope here, None where there is none."""
        return _open_from(self.variable.get())

    def enter(self, scope: Scope) -> None:
        """Make a scope the current one here."""
        if self.variable.get() is not scope:
            self.variable.set(scope)

    def leave(self, scope: Scope) -> None:
        """Forget a scope that was closed. Where it is current, what was so before its `with` block is so again."""
        before, scope.entered_from = scope.entered_from, None
        if self.variable.get() is scope:
            self.variable.set(_open_from(before) or self.innermost())

    def nearest(self, kind: type[ScopeT]) -> ScopeT | None:
        """Return the innermost open scope of a kind here."""
        scope = self.innermost()
        while scope is not None:
            if isinstance(scope, kind) and not scope.closed_ns:
                return scope
            scope = scope.outer if scope.parent is None else scope.parent
        return None


def is_within(inner: Scope | None, scope: Scope) -> bool:
    """Whether a scope is another one, or is found from it by way of `outer` and `parent`."""
    ways, seen = [inner], set[int]()
    while ways:
        found = ways.pop()
        if found is scope:
            return True
        if found is not None and id(found) not in seen:
            seen.add(id(found))
            ways += [found.outer, found.parent]
    return False


def _open_from(scope: Scope | None) -> Scope | None:
    """Return a scope, or the first open one by way of `outer`."""
    while scope is not None and scope.closed_ns:
        scope = scope.outer
    return scope
