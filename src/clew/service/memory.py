"""Memory of projects: the context engine, loaded when something is first asked of it, because its libraries are heavy."""

from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

from clew.core.errors import Failure, UsageError
from clew.gate.effect import Driver, Effect
from clew.manifest.compiled import Plan
from clew.runtime.embedding import embedding_of
from clew.runtime.memory import memory_of
from clew.service.embedding import Asker, Background, Local, embedding_here, local_of, space_of

_NEEDED = ("numpy", "faiss", "Stemmer")
_HERE = Path()
_HINT = "install it with: pip install 'clew[context]'"


class Memories:
    """The context stores of one state directory. ``close`` it."""

    def __init__(self, root: Path | None, now: Callable[[], int]) -> None:
        self._root, self._now = root, now
        self._stores = ExitStack()
        self.backgrounds: list[Background] = []

    async def close(self) -> None:
        for background in self.backgrounds:
            await background.close()
        self._stores.close()

    def driver(self, plan: Plan, directory: Path = _HERE, embeddings: Driver | None = None) -> Driver:
        """Of the ``context`` effects of this plan's runs. ``embeddings``: the driver of their ``embedding`` effects."""
        return _Late(lambda: self._driver(plan, directory, embeddings))

    def _driver(self, plan: Plan, directory: Path, embeddings: Driver | None) -> Driver:
        known: dict[str, Any] = {}

        def store(tenant: str) -> Any:
            if tenant not in known:
                known[tenant] = self.store(plan, tenant, local)
            return known[tenant]

        engine, local = _engine("driver"), local_of(plan, directory)
        embedding = embedding_of(plan) if local is None else embedding_here(local)
        asked = embeddings if local is None else Local(local)
        if embedding is None or asked is None:
            return engine.ContextDriver(plan.project or plan.workflow, store)
        background = Background(Asker(embedding, asked), self._now)
        self.backgrounds.append(background)
        noticed = background.noticed if local is None else background.used
        return engine.ContextDriver(plan.project or plan.workflow, store, noticed)

    def store(self, plan: Plan, tenant: str, local: Any = None) -> Any:
        """A tenant's ``ContextStore``, kept as the plan's memory section says; closed with the others. ``local``: the plan's
        local embedding model. Raises UsageError."""
        module = _engine("store")
        keeping: dict[Any, Any] = module.keeping_of(memory_of(plan))
        made = module.ContextStore(
            self._root, tenant, now=self._now, keeping=keeping, embedder=local, space=space_of(plan)
        )
        self._stores.callback(made.close)
        return made


class _Late:
    """A driver that is made when it is first needed."""

    def __init__(self, make: Callable[[], Driver]) -> None:
        self._make = make
        self._made: Driver | None = None

    async def perform(self, effect: Effect) -> Any:
        """Raises Failure as the driver does, and ``context_unavailable``."""
        if self._made is None:
            try:
                self._made = self._make()
            except UsageError as error:
                raise Failure(error.message, code=error.code, hint=error.hint) from error
        return await self._made.perform(effect)


def _engine(module: str) -> Any:
    """A module of the context engine. Raises UsageError where the extra is not installed."""
    try:
        return import_module(f"clew.context.{module}")
    except ModuleNotFoundError as error:
        if error.name not in _NEEDED:
            raise
        raise UsageError(
            f"memory needs {error.name}, which is not installed", code="context_unavailable", hint=_HINT
        ) from None
