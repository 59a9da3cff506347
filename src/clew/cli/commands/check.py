"""``clew check``."""

from pathlib import Path

import click

from clew.cli import present, shapes
from clew.cli.command import command as declare
from clew.cli.failures import SUCCESS, WRONG_USE
from clew.cli.session import Session, pass_session
from clew.cli.terminal import Paper, plural
from clew.manifest.plan import Problem
from clew.manifest.plan import check as check_project


@declare(
    "check",
    examples=[("clew check .", "errors and warnings"), ("clew check . --strict", "fail on warnings too, for CI")],
    shape=shapes.CheckDoc,
)
@click.argument("project", default=".", type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@pass_session
def command(session: Session, project: Path, strict: bool) -> int:
    """Check a project's manifests; print every problem with its place.

    Exit code 2 when the project cannot run. Nothing is executed.
    """
    problems = check_project(project)
    errors = [p for p in problems if p.severity == "error"]
    warnings = [p for p in problems if p.severity != "error"]
    ok = not errors and not (strict and warnings)
    if session.json:
        document = shapes.CheckDoc(ok=ok, errors=[_doc(p) for p in errors], warnings=[_doc(p) for p in warnings])
        present.emit(session, document)
        return SUCCESS if ok else WRONG_USE
    paper = Paper()
    for problem in problems:
        place, colon, rest = str(problem).partition(": ")
        paper.put((place, "bold"), colon, (rest, "" if problem.severity == "error" else "yellow"))
    counts = ", ".join(plural(len(some), word) for some, word in ((errors, "error"), (warnings, "warning")) if some)
    paper.put(paper.glyph("success" if ok else "failure"), f" {project}: {counts or 'no problems'}")
    return SUCCESS if ok else WRONG_USE


def _doc(problem: Problem) -> shapes.ProblemDoc:
    return shapes.ProblemDoc(
        severity=problem.severity,
        code=problem.code,
        file=problem.file,
        line=problem.line,
        column=problem.column,
        path=problem.path,
        found=problem.found,
        expected=problem.expected,
        suggestion=problem.suggestion,
        message=problem.message,
        text=str(problem),
    )
