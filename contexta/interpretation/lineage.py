"""What a thing came from, and what came from it: over stored relations and over those that other facts imply."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from ..errors import ValidationError
from .findings import CompletenessNote, EvidenceLink, LineageTraversal
from .observed import RelationRecord

DIRECTIONS = ("upstream", "downstream")
MAX_REFS = 10_000
# Of all other types the source came from the target: a model generated_from a run, a run that used a dataset.
TARGET_CAME_FROM_SOURCE = frozenset({"consumed_by", "reported_by"})

Neighbours = Callable[[str], Sequence[RelationRecord]]


def traverse_lineage(
    root_ref: str, neighbours: Neighbours, *, direction: str | None = None, max_depth: int | None = None
) -> LineageTraversal:
    """Walk from a thing, breadth first. neighbours: all relations that touch a reference.

    direction: upstream (what it came from), downstream (what came from it), None for both. max_depth: relations from
    the root. Raises ValidationError.
    """
    if direction not in (None, "", *DIRECTIONS):
        raise ValidationError(
            f"direction cannot be {direction!r}; it takes {' or '.join(DIRECTIONS)}.", code="query_invalid"
        )
    visited = {root_ref: 0}
    edges: dict[tuple[str, str, str], RelationRecord] = {}
    waiting = deque([(root_ref, each) for each in ([direction] if direction else DIRECTIONS)])
    seen = set(waiting)
    cut = False
    while waiting:
        ref, way = waiting.popleft()
        if max_depth is not None and visited[ref] >= max_depth:
            continue
        for edge in neighbours(ref):
            other = _other_end(edge, ref, way)
            if other is None:
                continue
            edges.setdefault((edge.source_ref, edge.relation_type, edge.target_ref), edge)
            if (other, way) in seen:
                continue
            if len(visited) >= MAX_REFS:
                cut = True
                continue
            visited.setdefault(other, visited[ref] + 1)
            seen.add((other, way))
            waiting.append((other, way))
    notes = (CompletenessNote("warning", f"Only the first {MAX_REFS} things were visited."),) if cut else ()
    links = tuple(EvidenceLink("relation", edge.relation_ref, edge.relation_type) for edge in edges.values())
    return LineageTraversal(root_ref, tuple(edges.values()), tuple(visited), notes, links)


def upstream_of(edge: RelationRecord) -> tuple[str, str]:
    """Return (what came, what it came from)."""
    if edge.relation_type in TARGET_CAME_FROM_SOURCE:
        return edge.target_ref, edge.source_ref
    return edge.source_ref, edge.target_ref


def _other_end(edge: RelationRecord, ref: str, way: str) -> str | None:
    later, earlier = upstream_of(edge)
    if way == "upstream":
        return earlier if later == ref else None
    return later if earlier == ref else None
