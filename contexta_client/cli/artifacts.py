"""`contexta artifact …` and `contexta provenance …`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .findings import findings, print_notes
from .output import Terminal, examples, exits_with

if TYPE_CHECKING:
    from contexta_client.facade import Contexta


def _contexta(terminal: Terminal) -> Contexta:
    from contexta_client.facade import Contexta

    return Contexta(workspace=terminal.workspace, config=terminal.config)


@click.group()
def artifact() -> None:
    """Register, verify and export artifacts."""


@artifact.command(epilog=examples("contexta artifact register model.pkl --kind model --run linear-svm"))
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--kind", required=True, help="What it is: model, dataset, report ...")
@click.option("--run", "run_id", required=True, help="The run that it came from.")
@click.option("--copy/--adopt", default=True, help="Keep a copy in the workspace, or only note where it lies.")
@click.pass_obj
def register(terminal: Terminal, file: Path, kind: str, run_id: str, copy: bool) -> None:
    """Put a file into the artifact store, as something that came from a run."""
    import hashlib
    from datetime import UTC, datetime

    from contexta.contract import ArtifactManifest

    run = terminal.questions().run(run_id)
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    path = run.run_id.partition(":")[2]
    manifest = ArtifactManifest(
        artifact_ref=f"artifact:{path}.{kind.replace('_', '-')}-{digest[:12]}",
        artifact_kind=kind,
        created_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        producer_ref="contexta.cli",
        run_ref=run.run_id,
        location_ref=f"path:{file.absolute()}",
        hash_value=f"sha256:{digest}",
        size_bytes=file.stat().st_size,
    )
    with _contexta(terminal) as ctx:
        ctx.artifact_store.put_artifact(manifest, file, mode="copy" if copy else "adopt")
    terminal.say(manifest.to_dict(), f"Registered {manifest.artifact_ref} ({manifest.size_bytes:,} bytes)")


@artifact.command(epilog=examples("contexta artifact verify", "contexta artifact verify artifact:churn.v6.model-1a2b"))
@click.argument("refs", metavar="[REF]...", nargs=-1)
@click.pass_obj
def verify(terminal: Terminal, refs: tuple[str, ...]) -> None:
    """Read stored artifacts again and compare their hashes; all of them where none is named. Exits with 1 on damage."""
    with _contexta(terminal) as ctx:
        store = ctx.artifact_store
        reports = [store.verify(ref) for ref in refs] if refs else store.verify_all().reports
    if not reports:
        terminal.check_workspace()
    exits_with(0 if all(each.intact for each in reports) else 1)
    if terminal.as_json:
        terminal.print_json([each.to_dict() for each in reports])
    else:
        rows = [(each.artifact_ref, each.status, each.size_bytes, each.problem) for each in reports]
        terminal.print_table(["~artifact", "status", ">bytes", "~problem"], rows, empty="No artifact is stored.")


@artifact.command("export", epilog=examples("contexta artifact export artifact:churn.v6.model-1a2b out/"))
@click.argument("ref")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.pass_obj
def export_artifact(terminal: Terminal, ref: str, folder: Path) -> None:
    """Write an artifact with its manifest as a package, to be imported elsewhere."""
    with _contexta(terminal) as ctx:
        receipt = ctx.artifact_store.export_artifact(ref, export_root=folder)
    said = {"artifact_ref": ref, "export_directory": str(receipt.export_directory), "outcome": receipt.outcome}
    terminal.say(said, f"{ref}: {receipt.outcome}, {receipt.export_directory}")


@click.group()
def provenance() -> None:
    """What a run was made from: is it known, and how do two runs differ in it."""


@provenance.command(epilog=examples("contexta provenance audit linear-svm"))
@click.argument("run_id", metavar="RUN")
@click.option("--strict", is_flag=True, help="Exit with 1 unless everything is known.")
@click.pass_obj
def audit(terminal: Terminal, run_id: str, strict: bool) -> None:
    """Say whether a run can be run again, and what is missing."""
    found = findings(terminal).audit(run_id)
    exits_with(1 if strict and found.reproducibility_status != "reproducible" else 0)
    if terminal.as_json:
        terminal.print_json(found.to_dict())
    else:
        rows = [("run", found.run_id), ("status", found.reproducibility_status), ("python", found.python_version or ""),
                ("platform", found.platform or ""), ("packages", found.package_count)]  # fmt: skip
        terminal.print_table(["what", "~value"], rows, empty="")
        print_notes(found.completeness_notes)


@provenance.command(epilog=examples("contexta provenance diff v5 v6"))
@click.argument("left")
@click.argument("right")
@click.pass_obj
def diff(terminal: Terminal, left: str, right: str) -> None:
    """Show how the environments of two runs differ."""
    found = findings(terminal).compare_environments(left, right)
    if terminal.as_json:
        terminal.print_json(found.to_dict())
        return
    rows = [("python", "", "changed")] if found.python_version_changed else []
    rows += [("platform", "", "changed")] if found.platform_changed else []
    for what in ("packages", "variables"):
        rows += [(what, name, f"added {value}") for name, value in getattr(found, f"added_{what}").items()]
        rows += [(what, name, f"removed {value}") for name, value in getattr(found, f"removed_{what}").items()]
        changed = getattr(found, f"changed_{what}").items()
        rows += [(what, name, f"{before} -> {after}") for name, (before, after) in changed]
    terminal.print_table(["what", "~name", "~change"], rows, empty="The environments are the same.")
