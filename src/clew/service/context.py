"""Memory for people and scripts: add, import, search, look back, merge. Needs the extra ``context``.

A scope is named in full (``project:demo``); in a project's directory ``project`` is that project.
"""

import re
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import msgspec

from clew.context.collection import Collection
from clew.context.embed.spent import spent
from clew.context.graph import walk
from clew.context.graph.extract import extract
from clew.context.graph.reading import restated, stays
from clew.context.ingest import files
from clew.context.ingest.report import Options, Told
from clew.context.log.port import NO_BOUNDS, Label
from clew.context.log.rules import check_id
from clew.context.merge.document import preview
from clew.context.scopes import Kind
from clew.context.store import ContextStore, Keeping, keeping_of
from clew.context.versions import Difference, difference, numbered, of_number, restore
from clew.core.errors import Failure, NotFound, UsageError
from clew.gate.ports.clock import Clock
from clew.gate.ports.context import Found, Put, Query, Relation, Remove, SearchConfig
from clew.manifest.compiled import Plan
from clew.manifest.plan import load
from clew.policies.redact import Redactor
from clew.runtime.clock import SystemClock
from clew.runtime.memory import memory_of, searching
from clew.service.embedding import Filled, Vectors, local_of, nobody, space_of, vectors_of
from clew.service.embedding import Told as EmbeddingTold
from clew.service.remembered import (
    Document,
    Embedded,
    GraphAnswer,
    Imported,
    MergeAnswer,
    SearchAnswer,
    SearchHit,
    Snapshot,
    cut,
    document_of,
)  # fmt: skip
from clew.service.secrets import Learned
from clew.service.settings import Settings

T = TypeVar("T", bound=msgspec.Struct)
ORIGIN = "cli"
Use = Literal["look", "change", "create"]
"""What a scope is opened for; ``create``: it may be new."""
NOTHING: Mapping[str, Any] = {}
_PLACE = re.compile(r"[0-9]{1,18}")


class Scoped:
    """One scope of one state directory, for the time of a command. What it shows has no secrets in clear that it knows."""

    def __init__(
        self, collection: Collection, scope: str, clock: Clock, redactor: Redactor,
        vectors: Vectors | None = None, searching: Mapping[str, Any] = NOTHING,
    ) -> None:  # fmt: skip
        """``searching``: what a search is told where nobody says otherwise."""
        self.collection, self.scope, self._clock, self._redactor = collection, scope, clock, redactor
        self._vectors, self._searching, self._before = vectors, searching, collection.log.forgotten
        self.embedded: Embedded | None = None
        """What was last asked of the project's embedding model."""

    @property
    def model(self) -> str:
        """The project's embedding model; empty: it names none."""
        return self._vectors.name if self._vectors is not None else ""

    @property
    def forgotten(self) -> int:
        """How many documents retention removed since the scope was opened."""
        return self.collection.log.forgotten - self._before

    @property
    def retention(self) -> str:
        """The bounds, in words."""
        bounds = self.collection.log.bounds
        items = None if bounds.max_items is None else f"max_items {bounds.max_items:,}"
        age = None if bounds.max_age is None else f"max_age {bounds.max_age / 1000:,g} s"
        size = None if bounds.max_size is None else f"max_size {bounds.max_size:,} bytes"
        return ", ".join(filter(None, (items, age, size)))

    # -- writing -----------------------------------------------------------------------------------------------

    def add(self, put: Put, *, graph: bool = True) -> Document:
        """Write a document; as it is now. Raises Conflict where ``expected`` is not what is there."""
        relations = put.relations or (self._relations(put) if graph else ())
        self.collection.write([msgspec.structs.replace(put, origin=put.origin or ORIGIN, relations=relations)])
        self._complete(frozenset((put.id,)))
        return self.document(put.id)

    def _relations(self, put: Put) -> Sequence[Relation]:
        live = self.collection.get(put.id)
        return live.relations if live is not None and stays(live, put.text, None) else extract(put.id, put.text)

    def remove(self, ids: Sequence[str]) -> int:
        """How many were there."""
        return sum(one is not None for one in self.collection.write([Remove(id=one, origin=ORIGIN) for one in ids]))

    def import_files(self, paths: Sequence[Path], options: Options, told: Told) -> Imported:
        """Files, folders, and JSON lines (``.jsonl``). Raises UsageError."""
        report = files.bring_in(self.collection, files.found(paths), options, told)
        self._complete(None, lambda filled, of: told(report, f"{filled.documents} of {of} vectors"))
        self.collection.tend()
        gone = files.left_behind(self.collection, paths)
        return Imported(
            scope=self.scope, **msgspec.structs.asdict(report), embedding=self.embedded,
            gone=len(gone.sure), unsure=len(gone.unsure), forgotten=self.forgotten,
        )  # fmt: skip

    def embed(self, told: EmbeddingTold = nobody) -> Embedded:
        """Make the vectors that are missing. Raises UsageError where the project has no model for it, Failure where that fails."""
        if self._vectors is None:
            raise UsageError(
                "the project declares no embedding model",
                hint="declare one in its memory section, embedding: {model: provider/name}; --project says which project",
            )
        filled = self._vectors.fill(self.collection, told, again=True)
        return self._told(filled)

    def _complete(self, only: frozenset[str] | None, told: EmbeddingTold = nobody) -> None:
        """The vectors of what was just written; where they cannot be made, it is found by its words until they are."""
        if self._vectors is None or self._vectors.here:
            return
        try:
            self.embedded = self._told(self._vectors.fill(self.collection, told, only))
        except Failure as failure:
            self.embedded = self._told(Filled(), str(failure))

    def _told(self, filled: Filled, why: str = "") -> Embedded:
        vectors = cast("Vectors", self._vectors)
        spent, missing = vectors.spent, len(self.collection.missing())
        return Embedded(
            model=vectors.name, documents=filled.documents, missing=missing, refused=filled.refused,
            why=self._redactor.text(why), tokens=spent.tokens, cost=spent.cost, unpriced=spent.unpriced,
        )  # fmt: skip

    def made_of(self, base: int, id: str, text: str, metadata: dict[str, Any]) -> Put:  # noqa: A002 - the word of the contract
        """What somebody made of version ``base``: with its metadata, but for these. Raises UsageError for what can be no id."""
        check_id(id)
        before = of_number(self.collection.log.history(id), base)
        known = before.metadata if before is not None else {}
        return Put(id=id, text=text, metadata=known | metadata, origin=ORIGIN)

    def merge(self, base: int, theirs: Put) -> MergeAnswer:
        """Three-way: ``theirs`` was made from version ``base``, which others may have changed meanwhile."""
        before = of_number(self.collection.log.history(theirs.id), base)
        relations = theirs.relations or restated(before, theirs.id, theirs.text)
        outcome = self.collection.merge(base, msgspec.structs.replace(theirs, relations=relations))
        conflicts: list[dict[str, Any]] = [msgspec.to_builtins(one) for one in outcome.conflicts]
        version = outcome.version.version if outcome.version is not None else 0
        self._complete(frozenset((theirs.id,)))
        return self._shown(
            MergeAnswer(merged=not conflicts, version=version, conflicts=conflicts, text=outcome.wanted.text)
        )

    def unmerged(self, base: int, theirs: Put) -> str:
        """The text as ``merge`` would make it by now, with markers at conflicts; nothing is written. Raises NotFound as it does."""
        return self._redactor.text(preview(self.collection.log.history(theirs.id), base, theirs).wanted.text)

    # -- looking -----------------------------------------------------------------------------------------------

    def search(self, query: Query, named: Mapping[str, Any] = NOTHING) -> SearchAnswer:
        """``named``: fields of ``SearchConfig``. Raises UsageError that names the field, or the filter's path."""
        try:
            config = msgspec.convert({**self._searching, **named}, SearchConfig)
        except msgspec.ValidationError as error:
            raise UsageError(f"this is no search: {error}") from None
        found: Found = self.collection.search(self._with_vector(query), config)
        there = self.collection.log.get_many([hit.doc_id for hit in found.hits])
        hits = [
            SearchHit(
                **msgspec.structs.asdict(hit), scope=self.scope,
                text=cut(there[hit.doc_id].text), metadata=there[hit.doc_id].metadata,
            )
            for hit in found.hits
            if hit.doc_id in there
        ]  # fmt: skip
        explain = found.explain
        if self.embedded is not None:
            explain = explain | {"embedding": msgspec.to_builtins(self.embedded)}
        return self._shown(SearchAnswer(hits=hits, explain=explain))

    def _with_vector(self, query: Query) -> Query:
        """By the project's embedding model; where it does not answer, words alone are searched with."""
        if self._vectors is None or self._vectors.here or query.vector or not query.text.strip():
            return query
        try:
            vector = self._vectors.query(query.text, self.collection)
        except Failure as failure:
            self.embedded = self._told(Filled(), str(failure))
            return query
        length, dims = len(vector) // 4, self.collection.dims
        alike = dims in (0, length)
        why = "" if alike else f"the model's vectors have {length} dimensions, the documents' have {dims}"
        self.embedded = self._told(Filled(), why)
        return msgspec.structs.replace(query, vector=vector) if alike else query

    def document(self, id: str, number: int | None = None) -> Document:  # noqa: A002 - the word of the contract
        """As it is now, or as version ``number`` was. Raises NotFound, and UsageError for what can be no id."""
        check_id(id)
        found = self.collection.get(id) if number is None else numbered(self.collection.log, id, number)
        if found is None:
            raise NotFound(f"there is no document {id!r} in {self.scope}", hint="`clew context list` lists documents")
        return self._shown(document_of(found, self.scope, whole=True))

    def history(self, id: str) -> list[Document]:  # noqa: A002 - as above
        """Oldest first, removals included. Raises NotFound, and UsageError for what can be no id."""
        check_id(id)
        versions = self.collection.log.history(id)
        if not versions:
            raise NotFound(f"there never was a document {id!r} in {self.scope}")
        return [self._shown(document_of(version, self.scope)) for version in versions]

    def newest(self, most: int, where: dict[str, Any] | None) -> list[Document]:
        """At most so many documents, written last first; ``where``: a filter. Raises UsageError that names its path."""
        names = self.collection.newest(most, where)
        there = self.collection.log.get_many(names)
        return [self._shown(document_of(there[name], self.scope)) for name in names if name in there]

    def matching(self, where: dict[str, Any]) -> list[str]:
        """Ids of all documents that a filter lets through. Raises UsageError that names its path."""
        return self.collection.newest(sys.maxsize, where)

    def graph(self, entity: str, goal: str | None, hops: int, when: walk.When) -> GraphAnswer:
        """The facts that name an entity; with ``goal`` or more than one hop, the walks from it. Raises NotFound."""
        with self.collection.facts() as facts:
            for name in filter(None, (entity, goal)):
                if facts.entities.find(name) is None:
                    raise NotFound(f"no document of {self.scope} says anything of {name!r:.200}")
            near = goal is None and hops <= 1
            closed = walk.closed(facts, entity)
            answer = GraphAnswer(
                facts=walk.around(facts, entity, when) if near else [],
                paths=[] if near else walk.paths(facts, entity, goal, hops=hops, when=when),
                closed=len(closed), closed_at=max(closed, default=None),
            )  # fmt: skip
        return self._shown(answer)

    def stats(self) -> dict[str, Any]:
        folder = self.collection.folder
        costs = spent(folder) if folder is not None else {}
        return {
            "scope": self.scope,
            "folder": str(folder or ""),
            **self.collection.stats(),
            "missing": len(self.collection.missing()),
            "spent": {name: msgspec.structs.asdict(one) for name, one in costs.items()},
            "snapshots": len(self.collection.log.labels()),
        }

    def _shown(self, answer: T) -> T:
        return msgspec.convert(self._redactor.value(msgspec.to_builtins(answer)), type(answer))

    # -- snapshots ---------------------------------------------------------------------------------------------

    def snapshot(self, label: str) -> Snapshot:
        """Label everything as it is now. Raises Conflict for a label in use, UsageError for one that is a place."""
        if label == "now" or _PLACE.fullmatch(label):
            raise UsageError(f"{label!r} can be no label: it means a place")
        self.collection.log.label(label, self._clock.now())
        return self.snapshots()[label]

    def snapshots(self) -> dict[str, Snapshot]:
        labels: dict[str, Label] = self.collection.log.labels()
        return {name: Snapshot(label=name, place=one.n, at=one.at) for name, one in labels.items()}

    def unlabel(self, label: str) -> Snapshot:
        """Forget a label; what it stood for may be forgotten then. Raises NotFound."""
        labels = self.snapshots()
        if label not in labels:
            raise self._no_snapshot(label, labels)
        self.collection.log.unlabel(label)
        return labels[label]

    def place(self, name: str) -> int:
        """Of a label, or a place as a number; ``now`` is the head. Raises NotFound."""
        labels = self.snapshots()
        if name in labels:
            return labels[name].place
        if name == "now":
            return self.collection.log.head()
        if _PLACE.fullmatch(name) and int(name) <= self.collection.log.head():
            return int(name)
        raise self._no_snapshot(name, labels)

    def _no_snapshot(self, name: str, labels: dict[str, Snapshot]) -> NotFound:
        there = ", ".join(labels) or "none"
        return NotFound(f"there is no snapshot {name!r} in {self.scope}", hint=f"there are: {there}")

    def difference(self, a: str, b: str) -> Difference:
        """What changed from one snapshot (or place) to another."""
        return difference(self.collection.log, self.place(a), self.place(b))

    def rollback(self, name: str) -> int:
        """Make what was live then live again, by new versions; how many documents that changed."""
        return len(restore(self.collection.log, self.place(name), f"{ORIGIN}:rollback", self._clock.now()))


@contextmanager
def opened(
    settings: Settings, scope: str, project: Path | None = None, *,
    use: Use = "look", clock: Clock | None = None, implied: bool = False,
) -> Generator[Scoped]:  # fmt: skip
    """``project``: the directory whose manifest says what ``project`` is and how its memory is kept; its embedding model serves
    other scopes too, unless nobody named it (``implied``).

    Raises NotFound where nothing was ever written to the scope, unless it is to ``create``; UsageError, ManifestError.
    """
    clock = clock or SystemClock()
    plan = load(project) if project is not None else None
    if scope == "project":
        if plan is None:
            raise UsageError("which project?", hint="run this in a project's directory, or say --scope project:ID")
        scope = f"project:{plan.workflow}"
    keeping = _keeping(plan, scope, use)
    redactor = _redactor(settings, plan, project)
    if not _serves(plan, scope, implied=implied):
        plan = None
    local = local_of(plan, project)
    vectors = vectors_of(plan, project, local)
    store = ContextStore(
        settings.directory, settings.tenant, now=clock.now, keeping=keeping, embedder=local, space=space_of(plan)
    )
    with ExitStack() as stack:
        stack.callback(store.close)
        if vectors is not None:
            stack.callback(vectors.close)
        collection = stack.enter_context(store.using(scope, create=use == "create"))
        yield Scoped(collection, scope, clock, redactor, vectors, searching(plan) if plan is not None else NOTHING)


def statistics(settings: Settings, project: Path | None = None, *, implied: bool = False) -> list[dict[str, Any]]:
    """Of every scope that was ever written to, where nothing is said of memory and where ``project`` keeps its own. ``implied``: as
    in ``opened``."""
    clock, plan = SystemClock(), load(project) if project is not None else None
    redactor, local = _redactor(settings, plan, project), local_of(plan, project)
    found: dict[Path | None, dict[str, Any]] = {}
    for keeping in ({}, _keeping(plan)):
        at = partial(ContextStore, settings.directory, settings.tenant, now=clock.now, keeping=keeping)
        with closing(at()) as plain, closing(at(embedder=local, space=space_of(plan))) as served:
            for scope in plain.scopes():
                store = served if _serves(plan, scope, implied=implied) else plain
                with suppress(NotFound), store.using(scope, create=False) as collection:
                    found[collection.folder] = Scoped(collection, scope, clock, redactor).stats()
    return sorted(found.values(), key=lambda one: (one["scope"], one["folder"]))


def _keeping(plan: Plan | None, scope: str = "", use: Use = "look") -> dict[Kind, Keeping]:
    """Where collections are, and in which form. Documents beyond bounds go where the project's own memory is looked at or other
    memory than a project's is written to: who looks elsewhere changes nothing."""
    kinds = keeping_of(memory_of(plan)) if plan is not None else {}
    own = plan is not None and scope == f"project:{plan.workflow}"
    if own or (use != "look" and not scope.startswith("project:")):
        return kinds
    return {kind: msgspec.structs.replace(one, bounds=NO_BOUNDS) for kind, one in kinds.items()}


def _serves(plan: Plan | None, scope: str, *, implied: bool) -> bool:
    """Whether the project's embedding model is that of ``scope``."""
    return plan is not None and (not implied or scope == f"project:{plan.workflow}")


def _redactor(settings: Settings, plan: Plan | None, project: Path | None) -> Redactor:
    secrets = Learned(settings.redact_fields, settings.redact_prefixes)
    if project is not None and plan is not None:
        secrets.of(plan, project)
    return secrets.redactor
