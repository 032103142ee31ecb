"""How two environments differ, and whether one is known well enough to run again in it."""

from __future__ import annotations

from collections.abc import Mapping

from .facts import EnvironmentRecord, RunFacts
from .findings import CompletenessNote, EnvironmentDiff, EvidenceLink, ReproducibilityAudit


def compare_environments(left: EnvironmentRecord, right: EnvironmentRecord) -> EnvironmentDiff:
    """Return what the right environment has more, less and else than the left one."""
    packages = _difference(left.packages, right.packages)
    variables = _difference(left.environment_variables, right.environment_variables)
    return EnvironmentDiff(
        left.python_version != right.python_version, left.platform != right.platform, *packages, *variables
    )


def audit_reproducibility(facts: RunFacts) -> ReproducibilityAudit:
    """Tell what is missing to run a run again.

    reproducibility_status: `reproducible` where nothing is missing; `partial`; `unknown` where no environment was
    captured.
    """
    environment, run = facts.environment, facts.run
    missing = [CompletenessNote(severity, text) for severity, text in _missing(facts)]
    status = "unknown" if environment is None else "partial" if missing else "reproducible"
    links = [EvidenceLink("run", run.run_id, run.name)]
    if environment is not None:
        links.append(EvidenceLink("environment", environment.environment_ref, "environment"))
    return ReproducibilityAudit(
        run_id=run.run_id,
        environment_ref=environment.environment_ref if environment else None,
        python_version=environment.python_version if environment else None,
        platform=environment.platform if environment else None,
        package_count=len(environment.packages) if environment else 0,
        reproducibility_status=status,
        completeness_notes=tuple(missing),
        evidence_links=tuple(links),
    )


def _missing(facts: RunFacts) -> list[tuple[str, str]]:
    environment, run = facts.environment, facts.run
    found = []
    if environment is None:
        found.append(("error", "No environment was captured: Python, platform and packages are not known."))
    else:
        if not environment.packages:
            found.append(("error", "The installed packages were not captured."))
        if environment.git.get("dirty"):
            found.append(("warning", "The working tree had changes that are in no commit."))
    if not (run.code_revision or (environment is not None and environment.git.get("revision"))):
        found.append(("error", "No code revision is known."))
    if not run.dataset_ref:
        found.append(("warning", "No dataset is named (dataset_ref)."))
    if not run.config_snapshot:
        found.append(("warning", "No configuration was recorded (config_snapshot)."))
    unhashed = [each.artifact_ref for each in facts.artifacts if not each.hash_value]
    if unhashed:
        found.append(("warning", f"{len(unhashed)} artifacts have no hash."))
    return found


def _difference(
    left: Mapping[str, str], right: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str], dict[str, tuple[str, str]]]:
    """Return (added, removed, changed)."""
    added = {name: value for name, value in right.items() if name not in left}
    removed = {name: value for name, value in left.items() if name not in right}
    changed = {name: (left[name], right[name]) for name in left if name in right and left[name] != right[name]}
    return added, removed, changed
