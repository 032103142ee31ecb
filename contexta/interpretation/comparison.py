"""Two runs side by side, and many."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import NotFoundError
from .environments import compare_environments
from .facts import RunFacts, SeriesSummary
from .findings import (
    ArtifactChange,
    CompletenessNote,
    EvidenceLink,
    MetricDelta,
    MultiRunComparison,
    MultiRunMetricRow,
    RunComparison,
    StageComparison,
)
from .observed import ArtifactRecord, StageRecord
from .run_names import told_apart
from .values import best_of, by_stage_and_key, check_policy, lower_is_better, value_of

RUN_LEVEL = "(run)"  # the stage name under which metrics of the run itself stand

Series = Mapping[tuple[str | None, str], Sequence[SeriesSummary]]


def compare_runs(left: RunFacts, right: RunFacts, *, policy: str = "latest") -> RunComparison:
    """Compare stage by stage (of the same name), metric by metric, and artifact kind by artifact kind.

    policy: which value of a series stands for it, see values.value_of. delta: right - left. Raises ValidationError.
    """
    policy = check_policy(policy)
    series = by_stage_and_key(left.summaries), by_stage_and_key(right.summaries)
    stages = tuple(_stages(left, right, series, policy))
    artifacts = tuple(_artifact_changes(left.artifacts, right.artifacts))
    return RunComparison(
        left_run_id=left.run.run_id,
        right_run_id=right.run.run_id,
        summary=_summary(stages, artifacts),
        stage_comparisons=stages,
        artifact_changes=artifacts,
        completeness_notes=tuple(_notes([left, right])),
        evidence_links=tuple(EvidenceLink("run", each.run.run_id, each.run.name) for each in (left, right)),
        provenance_comparison=_origins(left, right),
    )


def compare_multiple_runs(
    runs: Sequence[RunFacts], *, policy: str = "latest", lower: Sequence[str] = ()
) -> MultiRunComparison:
    """Compare runs in one table: a row for each metric of each stage. Raises ValidationError.

    The best of a row is by its key (values.lower_is_better), unless `lower` names the key.
    """
    policy = check_policy(policy)
    grouped = {each.run.run_id: by_stage_and_key(each.summaries) for each in runs}
    places = sorted({place for series in grouped.values() for place in series}, key=lambda p: (p[0] or "", p[1]))
    rows = []
    for stage, key in places:
        values = {run_id: value_of(series.get((stage, key), ()), policy) for run_id, series in grouped.items()}
        best = best_of(values.items(), lower=key in lower or lower_is_better(key))
        rows.append(MultiRunMetricRow(key, stage, values, best[0] if best else None))
    wins = Counter(row.best_run_id for row in rows if row.best_run_id)
    names = told_apart({each.run.run_id: each.run.name for each in runs})
    leader = wins.most_common(1)
    best_text = f"; {names[leader[0][0]]} is best in {leader[0][1]}" if leader else ""
    return MultiRunComparison(
        run_ids=tuple(grouped),
        run_names=tuple(names.values()),
        metric_table=tuple(rows),
        artifact_kind_counts={
            each.run.run_id: dict(Counter(artifact.kind for artifact in each.artifacts)) for each in runs
        },
        completeness_notes=tuple(_notes(runs)),
        evidence_links=tuple(EvidenceLink("run", each.run.run_id, each.run.name) for each in runs),
        summary=f"{len(runs)} runs, {len(rows)} metrics{best_text}",
    )


def select_best_run(
    runs: Sequence[RunFacts],
    metric_key: str,
    *,
    stage_name: str | None = None,
    higher_is_better: bool = True,
    policy: str = "latest",
) -> tuple[str, float, str | None]:
    """Return (run id, value, stage name) of the best run, the first of equals. stage_name None: any stage.

    Raises NotFoundError when no run has such a value, ValidationError for an unknown policy.
    """
    policy = check_policy(policy)
    found: dict[str, tuple[float | None, str | None]] = {}
    for each in runs:
        values = {
            stage: value_of(series, policy)
            for (stage, key), series in by_stage_and_key(each.summaries).items()
            if key == metric_key and stage_name in (None, stage)
        }
        best = best_of(((stage or "", value) for stage, value in values.items()), lower=not higher_is_better)
        if best is not None:
            found[each.run.run_id] = best[1], best[0] or None
    winner = best_of(((run_id, value) for run_id, (value, _) in found.items()), lower=not higher_is_better)
    if winner is None:
        where = f" in stage {stage_name!r}" if stage_name else ""
        raise NotFoundError(
            f"None of the {len(runs)} runs has a value of {metric_key!r}{where}.", details={"metric_key": metric_key}
        )
    return winner[0], winner[1], found[winner[0]][1]


def _stages(left: RunFacts, right: RunFacts, series: tuple[Series, Series], policy: str) -> list[StageComparison]:
    on_left, on_right = ({stage.name: stage for stage in each.stages} for each in (left, right))
    names = [*on_left, *(name for name in on_right if name not in on_left)]
    compared = [_stage(name, on_left.get(name), on_right.get(name), series, policy) for name in names]
    loose = [stage for stage, _ in {**series[0], **series[1]} if stage not in on_left and stage not in on_right]
    for name in dict.fromkeys(loose):
        deltas = _deltas(name, series, policy)
        compared.append(StageComparison(name or RUN_LEVEL, None, None, None, None, deltas))
    return compared


def _stage(
    name: str, left: StageRecord | None, right: StageRecord | None, series: tuple[Series, Series], policy: str
) -> StageComparison:
    missing = "left" if left is None else "right" if right is None else ""
    notes = (CompletenessNote("info", f"Stage {name!r} is only on the other side than the {missing} one."),)
    links = [EvidenceLink("stage", each.stage_id, each.name) for each in (left, right) if each is not None]
    return StageComparison(
        stage_name=name,
        left_stage_id=left.stage_id if left else None,
        right_stage_id=right.stage_id if right else None,
        left_status=left.status if left else None,
        right_status=right.status if right else None,
        metric_deltas=_deltas(name, series, policy),
        completeness_notes=notes if missing else (),
        evidence_links=tuple(links),
    )


def _deltas(stage: str | None, series: tuple[Series, Series], policy: str) -> tuple[MetricDelta, ...]:
    keys = sorted({key for side in series for name, key in side if name == stage})
    return tuple(_delta(stage, key, series[0].get((stage, key), ()), series[1].get((stage, key), ()), policy)
                 for key in keys)  # fmt: skip


def _delta(
    stage: str | None, key: str, left: Sequence[SeriesSummary], right: Sequence[SeriesSummary], policy: str
) -> MetricDelta:
    before, after = value_of(left, policy), value_of(right, policy)
    delta = after - before if before is not None and after is not None else None
    usable = delta is not None and before is not None and before != 0 and math.isfinite(delta)
    ratio = delta / abs(before) if usable and delta is not None and before is not None else None
    unit = next((each.unit for each in (*right, *left) if each.unit), None)
    return MetricDelta(key, before, after, delta, ratio, stage, unit)


def differs(delta: MetricDelta) -> bool:
    """Whether the sides have other values, or one has none; NaN is the same as NaN."""
    left, right = delta.left_value, delta.right_value
    if left is None or right is None:
        return is_one_sided(delta)
    return left != right and not (math.isnan(left) and math.isnan(right))


def is_one_sided(delta: MetricDelta) -> bool:
    """Whether exactly one side has a value."""
    return (delta.left_value is None) != (delta.right_value is None)


def _artifact_changes(left: Sequence[ArtifactRecord], right: Sequence[ArtifactRecord]) -> list[ArtifactChange]:
    kinds = dict.fromkeys([*(each.kind for each in left), *(each.kind for each in right)])
    return [
        _artifact_change(kind, [a for a in left if a.kind == kind], [a for a in right if a.kind == kind])
        for kind in kinds
    ]


def _artifact_change(kind: str, left: list[ArtifactRecord], right: list[ArtifactRecord]) -> ArtifactChange:
    if not left or not right:
        there = (left or right)[-1]
        count = len(left or right)
        detail = f"{count} on this side" if count > 1 else ""
        if left:
            return ArtifactChange(kind, there.artifact_ref, None, "removed", detail)
        return ArtifactChange(kind, None, there.artifact_ref, "added", detail)
    refs = left[-1].artifact_ref, right[-1].artifact_ref
    hashes = sorted(a.hash_value or "" for a in left), sorted(a.hash_value or "" for a in right)
    if "" not in hashes[0] and hashes[0] == hashes[1]:
        return ArtifactChange(kind, *refs, "unchanged", "the same content")
    if len(left) > 1 or len(right) > 1:
        return ArtifactChange(kind, *refs, "ambiguous", f"{len(left)} on the left, {len(right)} on the right")
    if "" in (*hashes[0], *hashes[1]):
        if None not in (left[0].size_bytes, right[0].size_bytes) and left[0].size_bytes != right[0].size_bytes:
            return ArtifactChange(kind, *refs, "changed", f"{left[0].size_bytes} -> {right[0].size_bytes} bytes")
        return ArtifactChange(kind, *refs, "ambiguous", "a hash is not known")
    sizes = f"{left[0].size_bytes} -> {right[0].size_bytes} bytes"
    return ArtifactChange(kind, *refs, "changed", f"other content, {sizes}")


def _summary(stages: Sequence[StageComparison], artifacts: Sequence[ArtifactChange]) -> str:
    deltas = [delta for stage in stages for delta in stage.metric_deltas]
    one_sided = sum(map(is_one_sided, deltas))
    changed = sum(map(differs, deltas)) - one_sided
    kinds = sum(1 for each in artifacts if each.change != "unchanged")
    text = f"{len(stages)} stages; {changed} of {len(deltas)} metrics differ"
    text += f", {one_sided} are on one side only" if one_sided else ""
    return f"{text}; {kinds} of {len(artifacts)} artifact kinds differ" if artifacts else text


def _notes(runs: Sequence[RunFacts]) -> list[CompletenessNote]:
    notes = [
        CompletenessNote("warning", f"{each.run.run_id} is still open: its values may change.")
        for each in runs
        if each.run.status == "open"
    ]
    notes += [
        CompletenessNote(
            "warning",
            f"{each.run.run_id} ran code with changes that are in no commit: what was changed is not compared.",
        )
        for each in runs
        if each.environment is not None and each.environment.git.get("dirty")
    ]
    return notes + [
        CompletenessNote("error", f"{each.run.run_id}: {each.dropped_text}.", each.dropped)
        for each in runs
        if each.dropped
    ]


def _origins(left: RunFacts, right: RunFacts) -> dict[str, Any]:
    """What the runs were made from, where it differs: code, data, configuration, environment."""
    found: dict[str, Any] = {}
    for name in ("code_revision", "dataset_ref"):
        before, after = getattr(left.run, name), getattr(right.run, name)
        if before != after:
            found[name] = {"left": before, "right": after}
    before, after = flattened(left.run.config_snapshot or {}), flattened(right.run.config_snapshot or {})
    changed = {
        key: {"left": before.get(key), "right": after.get(key)}
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key) or (key in before) != (key in after)
    }
    if changed:
        found["config"] = changed
    if left.environment is not None and right.environment is not None:
        diff = compare_environments(left.environment, right.environment)
        parts = {name: value for name, value in diff.to_dict().items() if value}
        if parts:
            found["environment"] = parts
    return found


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one, with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def origin_rows(origins: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str, str]]:
    """Return a comparison's `provenance_comparison` as rows (what, left, right)."""
    rows = []
    for name, value in origins.items():
        if isinstance(value, Mapping) and set(value) == {"left", "right"}:
            rows.append((prefix + name, _shown(value["left"]), _shown(value["right"])))
        elif isinstance(value, Mapping):
            rows += origin_rows(value, f"{prefix}{name}.")
        elif isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
            rows.append((prefix + name, _shown(value[0]), _shown(value[1])))
        else:
            removed = ".removed_" in f".{prefix}"
            rows.append((prefix + name, _shown(value) if removed else "", "" if removed else _shown(value)))
    return rows


def _shown(value: object) -> str:
    return "" if value is None else str(value)
