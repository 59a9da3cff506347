"""The two ways into this package: ``load`` a project into a Plan, or ``check`` it and get every problem."""

from pathlib import Path

from clew._version import __version__
from clew.core.errors import ManifestError
from clew.manifest.build import Parts, compile_plan
from clew.manifest.check import examine
from clew.manifest.compiled import (
    AgentPlan,
    ApprovalSpec,
    Limits,
    NodePlan,
    Permissions,
    Plan,
    ToolPlan,
)
from clew.manifest.problems import Problem

__all__ = [
    "AgentPlan",
    "ApprovalSpec",
    "Limits",
    "NodePlan",
    "Permissions",
    "Plan",
    "Problem",
    "ToolPlan",
    "check",
    "load",
]


def check(path: str | Path) -> list[Problem]:
    """Every problem of the project in directory ``path``, errors and warnings, by file and place."""
    return examine(path).problems.sorted()


def load(path: str | Path) -> Plan:
    """The Plan of the project in directory ``path``. Raises ManifestError with every problem that is an error."""
    checked = examine(path)
    if checked.problems.errors:
        raise ManifestError([problem for problem in checked.problems.sorted() if problem.severity == "error"])
    return compile_plan(
        Parts(
            project=checked.project,
            texts=checked.texts,
            schemas=checked.schemas,
            handlers=checked.handlers,
            files=checked.files,
            engine=__version__,
            pins=checked.pins,
        )
    )
