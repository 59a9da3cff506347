"""The driver of ``context`` effects: ``search``, ``put``, ``remove``, ``assemble``. What it gives is recorded, texts included: a
replay sees what was seen then, though memory has moved on."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from clew.context.collection import Collection
from clew.context.conversation import AFTER, KEEP, Memory, Turn, remember
from clew.context.scopes import Kind, Scope
from clew.context.store import ContextStore
from clew.context.window import DEFAULT_TOKENS, Candidate, Policy, assemble
from clew.core.codec import plain
from clew.core.errors import Conflict, Failure, NotFound, UsageError
from clew.gate.effect import Effect
from clew.gate.ports.context import Change, Put, Query, Remove, SearchConfig, Version

TURN = "turn"
"""``metadata.kind`` of a turn of a conversation."""
_MOST_TURNS = 1000
_MOST_CHARACTERS = 20_000
"""Of one document that a search gives back; it says where it was cut."""
_QUERY = 2000
"""Characters of what a node is about to work on that are searched with."""


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


class Removed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The request of ``remove``."""

    ids: tuple[str, ...]
    scope: Kind = "project"


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    scope: Kind
    tags: tuple[str, ...] = ()


class Assembly(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The request of ``assemble``. ``conversation``: the session's turns belong to it."""

    profile: str
    query: str = ""
    sources: tuple[Source, ...] = ()
    policy: Policy = "hybrid"
    max_tokens: int = DEFAULT_TOKENS
    config: SearchConfig = SearchConfig()
    conversation: bool = False
    keep_turns: int = KEEP
    summarise_after: int = AFTER


class ContextDriver:
    """Performs ``context`` effects of one project's runs. ``store``: a tenant's."""

    def __init__(self, project: str, store: Callable[[str], ContextStore]) -> None:
        self._project, self._store = project, store

    async def perform(self, effect: Effect) -> Any:
        """Raises Failure: ``invalid_request``, ``version_conflict``, ``no_session``."""
        kind = _REQUESTS.get(effect.name)
        if kind is None:
            raise Failure(f"there is no context effect {effect.name!r}", code="invalid_request")
        try:
            request = msgspec.convert(effect.request, kind)
            seat = _Seat(self._store(effect.principal.tenant), self._project, effect)
            return await asyncio.to_thread(seat.perform, request)
        except (msgspec.ValidationError, UsageError) as error:
            code = error.code if isinstance(error, Conflict) else "invalid_request"
            raise Failure(f"context {effect.name}: {error}", code=code) from error


class _Seat:
    """One effect's view of the store: which scopes are meant, and who writes."""

    def __init__(self, store: ContextStore, project: str, effect: Effect) -> None:
        self._store, self._origin = store, effect.outward_key
        self._ids = {"project": project, "session": effect.principal.session, "task": effect.run}

    def perform(self, request: Any) -> dict[str, Any]:
        if isinstance(request, Wanted):
            return self._search(request)
        if isinstance(request, Written):
            put = [Put(id=d.id, text=d.text, metadata=d.metadata, expected=d.expected) for d in request.documents]
            return self._write(request.scope, put)
        if isinstance(request, Removed):
            return self._write(request.scope, [Remove(id=one) for one in request.ids])
        return self._assemble(request)

    def _using(self, kind: Kind, *, create: bool = False) -> AbstractContextManager[Collection]:
        """Raises NotFound where nothing was ever written there, unless ``create``."""
        if kind == "session" and not self._ids["session"]:
            raise Failure("this run belongs to no session", code="no_session", hint="clew run --session NAME")
        return self._store.using(str(Scope(kind, self._ids.get(kind, ""))), create=create)

    def _search(self, wanted: Wanted) -> dict[str, Any]:
        found: list[dict[str, Any]] = []
        explain: dict[str, Any] = {}
        for kind in dict.fromkeys(wanted.scopes):
            try:
                with self._using(kind) as collection:
                    result = collection.search(Query(text=wanted.text, filter=wanted.filter), wanted.config)
                    there = collection.log.get_many([hit.doc_id for hit in result.hits])
            except NotFound:
                explain[kind] = {"documents": 0}
                continue
            explain[kind] = plain(result.explain)
            found += [
                {**plain(msgspec.to_builtins(hit)), "scope": kind, **_shown(there[hit.doc_id])}
                for hit in result.hits
                if hit.doc_id in there  # else it was removed meanwhile
            ]
        found.sort(key=lambda hit: (-hit["fused_score"], hit["scope"], hit["doc_id"]))
        return {"hits": found[: wanted.config.k], "explain": explain}

    def _write(self, kind: Kind, changes: Sequence[Change]) -> dict[str, Any]:
        signed = [msgspec.structs.replace(change, origin=self._origin) for change in changes]
        names = [change.id for change in changes]
        with self._using(kind, create=True) as collection:
            try:
                collection.write(signed)
            except Conflict:
                live = collection.log.get_many(names)
                if not all(name in live and live[name].origin == self._origin for name in names):
                    raise  # else it was written before a crash, and is asked for again
            live = collection.log.get_many(names)
        return {"versions": {name: live[name].version if name in live else 0 for name in names}}

    def _assemble(self, asked: Assembly) -> dict[str, Any]:
        sources, conversation = asked.sources, asked.conversation
        if not self._ids["session"]:  # a profile serves runs without a session too
            sources, conversation = tuple(one for one in sources if one.scope != "session"), False
        memory = self._conversation(asked) if conversation else None
        room = max(0, asked.max_tokens - (memory.tokens if memory is not None else 0))
        candidates = [one for source in sources for one in self._candidates(asked, source)]
        window = assemble(candidates, room, asked.policy)
        told = plain(msgspec.to_builtins(window)) | {
            "profile": asked.profile,
            "policy": asked.policy,
            "budget": asked.max_tokens,
        }
        if memory is not None:
            told["conversation"] = {"text": memory.text(), **_measured(memory)}
            told["tokens"] = window.tokens + memory.tokens
        return told

    def _candidates(self, asked: Assembly, source: Source) -> list[Candidate]:
        where: dict[str, Any] = {"op": "ne", "args": ["kind", TURN]}
        if source.tags:
            where = {"op": "and", "args": [{"term": {"tags": list(source.tags)}}, where]}
        try:
            with self._using(source.scope) as collection:
                if asked.policy == "recency" or not asked.query.strip():
                    return _latest(collection, source.scope, asked.config.k, where)
                return _searched(collection, source.scope, Query(text=asked.query[:_QUERY], filter=where), asked)
        except NotFound:
            return []

    def _conversation(self, asked: Assembly) -> Memory | None:
        try:
            with self._using("session") as collection:
                names = collection.newest(_MOST_TURNS, {"op": "eq", "args": ["kind", TURN]})
                found = collection.log.get_many(names)
        except NotFound:
            return None
        turns = [_turn(i, found[name]) for i, name in enumerate(reversed(names), 1) if name in found]
        return remember(turns, keep=asked.keep_turns, after=asked.summarise_after, room=asked.max_tokens // 4)


def _latest(collection: Collection, scope: str, count: int, where: dict[str, Any]) -> list[Candidate]:
    names = collection.newest(count, where)
    found = collection.log.get_many(names)
    return [_candidate(found[name], scope) for name in names if name in found]


def _searched(collection: Collection, scope: str, query: Query, asked: Assembly) -> list[Candidate]:
    config = asked.config
    if asked.policy == "semantic":
        config = msgspec.structs.replace(config, strategy="DENSE_FIRST", sparse_weight=0.0, graph_weight=0.0)
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
        metadata=version.metadata,
    )


def _turn(n: int, version: Version) -> Turn:
    told = version.metadata
    return Turn(
        n=n,
        role=str(told.get("role", "user")),
        text=version.text,
        task=str(told.get("task", "")),
        done=told.get("done") is True,
        decision=told.get("decision") is True,
    )


def _measured(memory: Memory) -> dict[str, Any]:
    """How much smaller the conversation is by now, and what of it is not shown word for word."""
    return {
        "tokens": memory.tokens,
        "tokens_before": memory.tokens_before,
        "turns": len(memory.turns),
        "decisions": len(memory.decisions),
        "trimmed": memory.trimmed,
    }


def _shown(version: Version) -> dict[str, Any]:
    text = version.text
    if len(text) > _MOST_CHARACTERS:
        text = f"{text[:_MOST_CHARACTERS]}\n[cut: {_MOST_CHARACTERS:,} of {len(text):,} characters]"
    return {"text": text, "metadata": version.metadata, "version": version.version, "at": version.at}


_REQUESTS: dict[str, type[Wanted | Written | Removed | Assembly]] = {
    "search": Wanted, "put": Written, "remove": Removed, "assemble": Assembly,
}  # fmt: skip
