"""What every run of one project shares: the plan, its handlers and schemas, and where handlers run."""

from collections.abc import Callable, Mapping
from typing import Any

from clew.core.scopes import Scopes
from clew.gate.ports.tool import ToolSpec
from clew.gate.schema import Validator
from clew.manifest.compiled import Plan
from clew.runtime.handlers import Handlers
from clew.runtime.process import Processes
from clew.runtime.threads import Threads


def _as_it_is(value: Any) -> Any:
    return value


class Project:
    """One plan, recorded at blob ``address``, in one directory. ``tools``: what the gate must know of each tool.

    ``mask`` takes the secrets that are known out of a JSON value: what bodies ask for, return, fail with and log goes through it.
    """

    def __init__(
        self, plan: Plan, address: str, handlers: Handlers, threads: Threads, tools: Mapping[str, ToolSpec], *,
        mask: Callable[[Any], Any] = _as_it_is,
    ) -> None:  # fmt: skip
        self.mask = mask
        self.plan = plan
        self.address = address
        self.directory = directory = handlers.project
        self.handlers = handlers
        self.tools = tools
        self.threads = threads
        self.processes = Processes(directory)
        self._scopes: dict[str, Scopes] = {}
        self._validators: dict[str, Validator] = {}

    def check(self, schema: str, value: Any, *, code: str, what: str) -> None:
        """Hold ``value`` against the plan's schema of that name. Raises Failure(``code``) with every violation."""
        validator = self._validators.get(schema)
        if validator is None:
            validator = self._validators[schema] = Validator(self.plan.schemas[schema])
        validator.check(value, code=code, what=f"{what} does not fit schema {schema}")

    def scopes(self, start: str) -> Scopes:
        """Static facts of the graph from this start, computed once."""
        if start not in self._scopes:
            self._scopes[start] = Scopes(self.plan.graph, start)
        return self._scopes[start]
