"""The driver of ``context`` effects: ``search``, ``put``, ``merge``, ``remove``, ``assemble``, ``summarise``. What it gives
is recorded, texts included: a replay sees what was seen then, though memory has moved on.

Where a provider's model makes the vectors, they come with the effect (``handed``); without them documents are kept for now, and
found, by their words alone. So does what an agent read in a document; without that, its relations are those that rules find.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from clew.context import filters
from clew.context.collection import Collection
from clew.context.conversation import AFTER, KEEP, Memory
from clew.context.graph.reading import stated, stays, told
from clew.context.merge import effect as merging
from clew.context.scopes import Kind, Scope
from clew.context.search import check
from clew.context.store import ContextStore
from clew.context.turns import OURS, TURN, Bounds, Summarised, added, measured, recall, summarise
from clew.context.versions import standing
from clew.context.weights import alike
from clew.context.window import DEFAULT_TOKENS, Candidate, Policy, assemble, enough
from clew.core.codec import plain
from clew.core.errors import Conflict, Failure, JournalError, NotFound, UsageError
from clew.gate.effect import Effect
from clew.gate.ports.context import Change, Hit, Put, Query, Remove, SearchConfig, Version
from clew.gate.ports.embedding import MOST_QUERY, Handed

UNAVAILABLE = "context_unavailable"
"""Code of a failure that is none of the run's: a full disk, a damaged log, a library that is missing."""
_MOST_CHARACTERS = 20_000
_MOST_IN_ALL = 200_000
"""Characters, of one document and of all that a search gives back, the best first; it says where it was cut."""
WORDS_ALONE = "words_alone"
"""In what a search explains: why there was no vector to search with."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The request of ``search``. Scopes are kinds: which project, session and task is meant, the run says."""

    scopes: tuple[Kind, ...] = ("project",)
    text: str = ""
    filter: dict[str, Any] | None = None
    config: SearchConfig = SearchConfig()


class Given(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A document as ``put`` takes it."""

    id: str
    text: str = ""
    metadata: dict[str, Any] = {}
    expected: int | None = None


class Written(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The request of ``put``."""

    scope: Kind = "project"
    documents: tuple[Given, ...]
    summarise: Bounds | None = None
    """An agent summarises the conversation to which turns are added: the result says what it is to be asked, if anything."""


class Removed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The request of ``remove``."""

    ids: tuple[str, ...]
    scope: Kind = "project"


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    scope: Kind
    tags: tuple[str, ...] = ()


class Assembly(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The request of ``assemble``. ``config``: fields of ``SearchConfig``; without ``k``, of each source as many documents are
    looked at as the room may hold. ``conversation``: the session's turns belong to it."""

    profile: str
    query: str = ""
    sources: tuple[Source, ...] = ()
    policy: Policy = "hybrid"
    max_tokens: int = DEFAULT_TOKENS
    config: dict[str, Any] = {}
    conversation: bool = False
    keep_turns: int = KEEP
    summarise_after: int = AFTER


Noticed = Callable[[ContextStore, Sequence[str], Handed | None], None]
"""Told of the scopes that were used, and what the effect was handed."""


class ContextDriver:
    """Performs ``context`` effects of one project's runs. ``store``: a tenant's."""

    def __init__(self, project: str, store: Callable[[str], ContextStore], noticed: Noticed | None = None) -> None:
        self._project, self._store, self._noticed = project, store, noticed

    async def perform(self, effect: Effect) -> Any:
        """Raises Failure: ``invalid_request``, ``not_found``, ``version_conflict``, ``no_session``, ``context_unavailable``."""
        kind = _REQUESTS.get(effect.name)
        if kind is None:
            raise Failure(f"there is no context effect {effect.name!r}", code="invalid_request")
        try:
            request = msgspec.convert(effect.request, kind)
            seat = _Seat(self._store(effect.principal.tenant), self._project, effect)
            answer = await asyncio.to_thread(seat.perform, request)
        except (msgspec.ValidationError, UsageError) as error:
            code = error.code if isinstance(error, Conflict | NotFound) else "invalid_request"
            raise Failure(f"context {effect.name}: {error}", code=code) from error
        except JournalError as error:
            raise Failure(f"context {effect.name}: {error.message}", code=UNAVAILABLE, hint=error.hint) from error
        if self._noticed is not None:
            self._noticed(seat.store, sorted(seat.used), seat.handed)
        return answer


class _Seat:
    """One effect's view of the store: which scopes are meant, and who writes."""

    def __init__(self, store: ContextStore, project: str, effect: Effect) -> None:
        self.store, self._origin = store, effect.outward_key
        self.handed: Handed | None = effect.handed
        self._read = {one.id: one for one in self.handed.extracted} if self.handed is not None else {}
        self.used: set[str] = set()
        self._ids = {"project": project, "session": effect.principal.session, "task": effect.run}

    def perform(self, request: Any) -> dict[str, Any]:
        if isinstance(request, Wanted):
            return self._search(request)
        if isinstance(request, Written):
            documents = self._documents(request.documents)
            return self._write(request.scope, documents, request.summarise) | told([*self._read.values()])
        if isinstance(request, Removed):
            return self._write(request.scope, [Remove(id=one) for one in request.ids])
        if isinstance(request, Summarised):
            with self._using("session", create=True) as collection:
                return summarise(collection, request, self._origin)
        if isinstance(request, merging.Merging):
            with self._using(request.scope, create=True) as collection:
                return merging.perform(collection, request, self._origin)
        return self._assemble(request)

    def _using(self, kind: Kind, *, create: bool = False) -> AbstractContextManager[Collection]:
        """Raises NotFound where nothing was ever written there, unless ``create``."""
        if kind == "session" and not self._ids["session"]:
            raise Failure("this run belongs to no session", code="no_session", hint="clew run --session NAME")
        scope = str(Scope(kind, self._ids.get(kind, "")))
        self.used.add(scope)
        return self.store.using(scope, create=create)

    def _documents(self, given: Sequence[Given]) -> list[Put]:
        handed = self.handed or Handed()
        vectors = iter(handed.vectors)
        documents: list[Put] = []
        for one in given:
            vector = next(vectors, b"") if one.text.strip() else b""
            relations = stated(one.id, one.text, self._read.get(one.id))
            put = Put(id=one.id, text=one.text, metadata=one.metadata, expected=one.expected, relations=relations)
            documents.append(msgspec.structs.replace(put, vector=vector, embedder=handed.embedder) if vector else put)
        return documents

    def _asked(self, collection: Collection, query: Query) -> tuple[Query, str]:
        """The query with its vector, or why it has none; neither where the collection makes its own."""
        if self.handed is None:
            return query, ""
        vector, dims = next(iter(self.handed.vectors), b""), collection.dims
        if vector and dims and len(vector) != 4 * dims:
            return query, f"the query's vector has {len(vector) // 4} dimensions, the documents' have {dims}"
        return msgspec.structs.replace(query, vector=vector), self.handed.why

    def _search(self, wanted: Wanted) -> dict[str, Any]:
        query = Query(text=wanted.text, filter=wanted.filter)
        check(query, wanted.config)  # whether there is anything to search or not
        config = alike(wanted.config, len(dict.fromkeys(wanted.scopes)))
        if wanted.filter is not None:
            filters.parse(wanted.filter)
        found: list[tuple[str, Hit, Version]] = []
        explain: dict[str, Any] = {}
        for kind in dict.fromkeys(wanted.scopes):
            try:
                with self._using(kind) as collection:
                    asked, why = self._asked(collection, query)
                    result = collection.search(asked, config)
                    there = collection.log.get_many([hit.doc_id for hit in result.hits])
            except NotFound:
                explain[kind] = {"documents": 0}
                continue
            explain[kind] = plain(result.explain) | ({WORDS_ALONE: why} if why else {})
            found += [
                (kind, hit, there[hit.doc_id]) for hit in result.hits if hit.doc_id in there
            ]  # else removed meanwhile
        found.sort(key=lambda one: (-one[1].fused_score, one[0], one[1].doc_id))
        return {"hits": _shown(found[: wanted.config.k]), "explain": explain}

    def _write(self, kind: Kind, changes: Sequence[Change], bounds: Bounds | None = None) -> dict[str, Any]:
        signed = [msgspec.structs.replace(change, origin=self._origin) for change in changes]
        names = [change.id for change in changes]
        with self._using(kind, create=True) as collection:
            before = {name: written[-1] for name in names if (written := collection.log.history(name, self._origin))}
            if before:  # it was written before a crash, and is asked for again: others may have gone on since
                written = [before.get(name) for name in names]
            else:
                written = collection.write([self._as_read(collection, change) for change in signed])
            versions = standing(collection.log, signed, written)
            turns = any(isinstance(change, Put) and change.metadata.get("kind") == TURN for change in signed)
            due = added(collection, self._origin, bounds) if turns else None
        return {"versions": versions} | ({"due": msgspec.to_builtins(due)} if due is not None else {})

    def _as_read(self, collection: Collection, change: Change) -> Change:
        """With the relations that it has, where they are better."""
        read = self._read.get(change.id)
        live = collection.log.get(change.id) if isinstance(change, Put) else None
        if live is None or not isinstance(change, Put) or not stays(live, change.text, read):
            return change
        return msgspec.structs.replace(change, relations=live.relations)

    def _assemble(self, asked: Assembly) -> dict[str, Any]:
        if not asked.query.strip():  # nothing to search with: no document is better than another but by its time
            asked = msgspec.structs.replace(asked, policy="recency")
        config = msgspec.convert({"k": enough(asked.max_tokens), **asked.config}, SearchConfig)
        check(Query(text=asked.profile), config)
        sources, conversation = asked.sources, asked.conversation
        if not self._ids["session"]:  # a profile serves runs without a session too
            sources, conversation = tuple(one for one in sources if one.scope != "session"), False
        config = alike(config, len(sources))
        memory = self._conversation(asked) if conversation else None
        room = max(0, asked.max_tokens - (memory.tokens if memory is not None else 0))
        candidates = [one for source in sources for one in self._candidates(asked, source, config)]
        window = assemble(candidates, room, asked.policy)
        shown = plain(msgspec.to_builtins(window)) | {
            "profile": asked.profile,
            "policy": asked.policy,
            "budget": asked.max_tokens,
        }
        if self.handed is not None and self.handed.why:
            shown[WORDS_ALONE] = self.handed.why
        if memory is not None:
            shown["conversation"] = {"text": memory.text(), **measured(memory)}
            shown["tokens"] = window.tokens + memory.tokens
        return shown

    def _candidates(self, asked: Assembly, source: Source, config: SearchConfig) -> list[Candidate]:
        where: dict[str, Any] = {"op": "nin", "args": ["kind", OURS]}
        if source.tags:
            where = {"op": "and", "args": [{"term": {"tags": list(source.tags)}}, where]}
        try:
            with self._using(source.scope) as collection:
                if asked.policy == "recency":
                    return _latest(collection, source.scope, config.k, where)
                query, why = self._asked(collection, Query(text=asked.query[:MOST_QUERY], filter=where))
                if asked.policy == "semantic" and not why:
                    config = msgspec.structs.replace(
                        config, strategy="DENSE_FIRST", sparse_weight=0.0, graph_weight=0.0
                    )
                return _searched(collection, source.scope, query, config)
        except NotFound:
            return []

    def _conversation(self, asked: Assembly) -> Memory | None:
        bounds = Bounds(
            keep_turns=asked.keep_turns, summarise_after=asked.summarise_after, max_tokens=asked.max_tokens
        )  # fmt: skip
        try:
            with self._using("session") as collection:
                return recall(collection, bounds)
        except NotFound:
            return None


def _latest(collection: Collection, scope: str, count: int, where: dict[str, Any]) -> list[Candidate]:
    names = collection.newest(count, where)
    found = collection.log.get_many(names)
    return [_candidate(found[name], scope) for name in names if name in found]


def _searched(collection: Collection, scope: str, query: Query, config: SearchConfig) -> list[Candidate]:
    hits = collection.search(query, config).hits
    found = collection.log.get_many([hit.doc_id for hit in hits])
    return [
        _candidate(found[hit.doc_id], scope, hit.fused_score, plain(msgspec.to_builtins(hit)))
        for hit in hits
        if hit.doc_id in found
    ]


def _candidate(version: Version, scope: str, score: float = 0.0, found: dict[str, Any] | None = None) -> Candidate:
    return Candidate(
        id=version.id,
        scope=scope,
        text=version.text,
        at=version.at,
        score=score,
        found=found or {},
        metadata=_bounded(version.metadata)[0],
    )


def _shown(found: Sequence[tuple[str, Hit, Version]]) -> list[dict[str, Any]]:
    hits: list[dict[str, Any]] = []
    room = _MOST_IN_ALL
    for kind, hit, version in found:
        text, most = version.text, min(_MOST_CHARACTERS, room)
        if len(text) > most:
            text = f"{text[:most]}\n[cut: {most:,} of {len(text):,} characters]"
        metadata, size = _bounded(version.metadata, room)
        room = max(0, room - min(len(text), most) - size)
        told = {"scope": kind, "text": text, "metadata": metadata, "version": version.version, "at": version.at}
        hits.append(plain(msgspec.to_builtins(hit)) | told)
    return hits


def _bounded(metadata: dict[str, Any], room: int = _MOST_CHARACTERS) -> tuple[dict[str, Any], int]:
    """With its size in bytes; what is too large is left out, and says so."""
    size = len(msgspec.json.encode(metadata))
    if size <= max(2, min(_MOST_CHARACTERS, room)):
        return metadata, size
    return {"cut": f"metadata of {size:,} bytes"}, 0


_REQUESTS: dict[str, type[Wanted | Written | merging.Merging | Removed | Assembly | Summarised]] = {
    "search": Wanted, "put": Written, "merge": merging.Merging, "remove": Removed, "assemble": Assembly,
    "summarise": Summarised,
}  # fmt: skip
