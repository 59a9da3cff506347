"""A project's embedding model outside of runs: for imports and searches by hand, and for what lacks vectors.

A vector belongs to the model that made it. When the model changes, or could not be asked when a document came, the document is
found by its words until its vector is made: by hand (``Vectors.fill``) or in the background of an engine (``Background``).
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from clew.context import shelf
from clew.context.embed.spent import Spent, spend
from clew.core.codec import plain
from clew.core.errors import ClewError, Failure, UsageError
from clew.core.identity import digest
from clew.gate.effect import Driver, Effect, Outcome
from clew.gate.ports.context import Version
from clew.gate.ports.embedding import EmbeddingAnswer, Handed, Purpose, clipped, packed
from clew.manifest.compiled import Plan
from clew.models.adapters import embedder_of
from clew.models.catalog import catalog_of
from clew.models.embedding import Embeddings
from clew.models.price import Pricer
from clew.runtime.clock import SystemClock
from clew.runtime.embedding import Embedding, embedding_of, handed
from clew.runtime.memory import memory_of
from clew.service.portal import Portal
from clew.service.secrets import ProjectSecrets

if TYPE_CHECKING:  # its libraries are heavy
    from clew.context.collection import Collection
    from clew.context.embed.port import Embedder
    from clew.context.store import ContextStore

logger = logging.getLogger("clew.context")

REST_MS = 60_000
"""After a failure the background leaves a model alone for so long."""
_MOST_BYTES = 400_000
"""Of the texts of one request: some 100,000 tokens; providers take 250,000 or more."""
_PAGE = 1000
_REFUSED = ("context_too_long", "invalid_request")
"""Codes that one text of many may be the cause of."""
_HOPELESS = 3
"""Texts refused, and none taken: it is not the texts."""


class Filled(msgspec.Struct, kw_only=True):
    """``documents``: given vectors; ``refused``: ``{id, why}``."""

    documents: int = 0
    refused: list[dict[str, str]] = []


Told = Callable[[Filled, int], None]
"""Told after each request: what is done, and how many documents were found lacking in all."""


class Local:
    """Performs the ``embedding`` effects of a model that is here."""

    def __init__(self, model: "Embedder") -> None:
        self._model = model

    async def perform(self, effect: Effect) -> Outcome:
        made = await asyncio.to_thread(self._model.embed, effect.request["texts"])
        vectors = tuple(packed(vector.astype("<f4").tobytes()) for vector in made)
        return Outcome(output=plain(EmbeddingAnswer(vectors=vectors, dims=self._model.dims)), cost="0")


class Asker:
    """An embedding model, asked in a collection's name: what it costs is added to the collection's sums."""

    def __init__(self, embedding: Embedding, driver: Driver) -> None:
        self.embedding, self._driver = embedding, driver
        self.spent = Spent()
        """In all, by this object."""

    async def ask(self, texts: Sequence[str], purpose: Purpose, folder: Path | None) -> tuple[bytes, ...]:
        """A vector of each text. Raises Failure."""
        request = self.embedding.request(tuple(texts), purpose)
        effect = Effect(
            key=digest(request)[:16], kind="embedding", name=self.embedding.model, request=request, task="", node="",
            repeat_safe=True,
        )  # fmt: skip
        outcome: Outcome = await self._driver.perform(effect)
        if outcome.error is None:
            tokens = (outcome.usage or {}).get("input_tokens", 0)
            cost = {"cost": outcome.cost} if outcome.cost else {"unpriced": 1}
            spent = Spent(requests=1, texts=len(texts), tokens=tokens, **cost)  # pyright: ignore[reportArgumentType]
            self.spent += spent
            if folder is not None:
                await asyncio.to_thread(_noted, folder, self.embedding.name, spent)
        found = handed(self.embedding, outcome)
        if found.why:
            raise Failure(found.why, code=found.code)
        return found.vectors

    async def fill(
        self, collection: "Collection", told: Told, only: frozenset[str] | None = None, *, again: bool = False
    ) -> Filled:
        """Make every vector that is missing, or of these documents ``only``. What was made stays when it is stopped. ``again``:
        also those that the model made already, of another length than most.

        Raises Failure where the model fails.
        """
        filled, tried = Filled(), set[str]()
        while names := [one for one in await asyncio.to_thread(collection.missing) if one not in tried]:
            tried.update(names)
            names = names if only is None else [one for one in names if one in only]
            for start in range(0, len(names), _PAGE):
                page = names[start : start + _PAGE]
                for batch in await asyncio.to_thread(self._batches, collection, page, again):
                    await self._batch(collection, batch, filled)
                    told(filled, len(tried))
        return filled

    def _batches(self, collection: "Collection", names: Sequence[str], again: bool) -> list[list[Version]]:
        batches: list[list[Version]] = []
        room = 0
        for version in collection.log.get_many(names).values():
            made = version.vector and version.embedder == self.embedding.name
            if not version.text.strip() or (made and not again):
                continue
            size = len(clipped(version.text).encode("utf-8", "replace"))
            if not batches or len(batches[-1]) == self.embedding.batch or size > room:
                batches.append([])
                room = _MOST_BYTES
            batches[-1].append(version)
            room -= size
        return batches

    async def _batch(self, collection: "Collection", batch: Sequence[Version], filled: Filled) -> None:
        """Where the batch is refused, each half of it, so that one text does not keep back the others."""
        try:
            vectors = await self.ask([one.text for one in batch], "document", collection.folder)
        except Failure as failure:
            if failure.code not in _REFUSED:
                raise
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._batch(collection, batch[:middle], filled)
                await self._batch(collection, batch[middle:], filled)
                return
            filled.refused.append({"id": batch[0].id, "why": str(failure)})
            if not filled.documents and len(filled.refused) >= _HOPELESS:
                raise
            return
        name = self.embedding.name
        made = [(one.n, name, vector) for one, vector in zip(batch, vectors, strict=True)]
        await asyncio.to_thread(collection.attach, made)
        filled.documents += len(batch)


class Background:
    """Fills the scopes that runs use, one after another. On one event loop; ``close`` stops it, and what was made stays."""

    def __init__(self, asker: Asker, now: Callable[[], int]) -> None:
        self._asker, self._now = asker, now
        self._seen: set[tuple[int, str]] = set()
        self._waiting: list[tuple[ContextStore, str]] = []
        self._resting_until = 0
        self._said: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def noticed(self, store: "ContextStore", scopes: Sequence[str], given: Handed | None) -> None:
        """These scopes were used just now, with what the model had ``given``; where it was not asked, nothing follows."""
        if given is not None and given.embedder:
            self.look(store, scopes, answered=bool(given.vectors))

    def used(self, store: "ContextStore", scopes: Sequence[str], _: Handed | None) -> None:
        """The same where the model is here."""
        self.look(store, scopes)

    def look(self, store: "ContextStore", scopes: Sequence[str], *, answered: bool = True) -> None:
        """These scopes were used just now; ``answered``: the model does, it seems. Else it is left alone for now."""
        for scope in scopes:
            place = id(store), scope
            if not answered:
                self._seen.discard(place)
            elif place not in self._seen and self._now() >= self._resting_until:
                self._seen.add(place)
                self._waiting.append((store, scope))
        if self._waiting and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def idle(self) -> None:
        """Until nothing is left to do."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await self.idle()

    async def _work(self) -> None:
        while self._waiting:
            store, scope = self._waiting.pop(0)
            try:
                with store.using(scope) as collection:
                    await self._fill(collection)
            except Exception as error:
                self._rest(store, scope, error)

    async def _fill(self, collection: "Collection") -> None:
        """Unless another process is at it."""
        folder = collection.folder
        if folder is None:
            await self._asker.fill(collection, nobody)
            return
        with shelf.locked(folder) as mine:
            if mine:
                await self._asker.fill(collection, nobody)

    def _rest(self, store: "ContextStore", scope: str, error: Exception) -> None:
        self._seen.discard((id(store), scope))
        self._waiting.clear()
        self._resting_until = self._now() + REST_MS
        code = error.code if isinstance(error, ClewError) else type(error).__name__
        if code not in self._said:
            self._said.add(code)
            name = self._asker.embedding.name
            logger.warning("%s: vectors are missing, and %s could not make them: %s", scope, name, error)


class Vectors:
    """A project's embedding model for blocking callers. ``close`` it. ``here``: what is written and looked for is embedded by the
    collection itself."""

    def __init__(self, embedding: Embedding, driver: Local | Embeddings) -> None:
        self._driver, self.here = driver, isinstance(driver, Local)
        self._asker = Asker(embedding, driver)
        self._portal = Portal()

    @property
    def name(self) -> str:
        return self._asker.embedding.name

    @property
    def spent(self) -> Spent:
        """In all, by this object."""
        return self._asker.spent

    def close(self) -> None:
        if isinstance(self._driver, Embeddings):
            self._portal.call(self._driver.close())
        self._portal.close()

    def query(self, text: str, collection: "Collection") -> bytes:
        """The vector of a query. Raises Failure."""
        return self._portal.call(self._asker.ask([text], "query", collection.folder))[0]

    def fill(
        self, collection: "Collection", told: Told, only: frozenset[str] | None = None, *, again: bool = False
    ) -> Filled:
        """See ``Asker.fill``."""
        return self._portal.call(self._asker.fill(collection, told, only, again=again))


def vectors_of(plan: Plan | None, directory: Path | None, local: "Embedder | None") -> Vectors | None:
    """None: the project names no embedding model. ``local``: its local one, where it has one."""
    if local is not None:
        return Vectors(embedding_here(local), Local(local))
    embedding = embedding_of(plan) if plan is not None else None
    if plan is None or directory is None or embedding is None:
        return None
    clients = partial(embedder_of, secrets=ProjectSecrets(plan, directory))
    return Vectors(embedding, Embeddings(catalog_of(plan), clients, clock=SystemClock(), price=Pricer()))


def embedding_here(local: "Embedder") -> Embedding:
    return Embedding(model=local.name, network=False)


def _noted(folder: Path, embedder: str, spent: Spent) -> None:
    try:
        spend(folder, embedder, spent)
    except OSError as error:  # a full disk: the vectors are what counts
        logger.warning("what %s cost is not noted in %s: %s", embedder, folder, error.strerror or error)


def nobody(_: Filled, __: int) -> None:
    """Nobody is told."""


def space_of(plan: Plan | None) -> str:
    """Whose vectors the project's collections compare; empty: their own embedder's."""
    embedding = embedding_of(plan) if plan is not None else None
    return embedding.name if embedding is not None else ""


def local_of(plan: Plan | None, directory: Path | None) -> "Embedder | None":
    """The project's local model, loaded; None: it names none. Raises UsageError."""
    declared = memory_of(plan).embedding if plan is not None else None
    if directory is None or declared is None or declared.folder is None:
        return None
    try:
        module = import_module("clew.context.embed.local")
    except ModuleNotFoundError as error:
        if error.name != "tokenizers":
            raise
        raise UsageError(
            "a local embedding model needs tokenizers, which is not installed",
            code="context_unavailable", hint="install it with: pip install 'clew[local-embeddings]'",
        ) from None  # fmt: skip
    return module.LocalModel.load(directory / Path(declared.folder).expanduser())
