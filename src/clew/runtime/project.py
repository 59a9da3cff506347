"""What every run of one project shares: the plan, its handlers and schemas, and where handlers run."""

from pathlib import Path

from clew.core.scopes import Scopes
from clew.manifest.compiled import Plan
from clew.runtime.handlers import Handlers
from clew.runtime.process import Processes
from clew.runtime.schemas import Schemas
from clew.runtime.threads import Threads


class Project:
    """One plan in one directory. ``close`` ends idle threads."""

    def __init__(self, plan: Plan, directory: Path, threads: Threads) -> None:
        self.plan = plan
        self.directory = directory
        self.handlers = Handlers(directory)
        self.schemas = Schemas(plan.schemas)
        self.threads = threads
        self.processes = Processes(directory)
        self._scopes: dict[str, Scopes] = {}

    def scopes(self, start: str) -> Scopes:
        """Static facts of the graph from this start, computed once."""
        if start not in self._scopes:
            self._scopes[start] = Scopes(self.plan.graph, start)
        return self._scopes[start]
