"""The documents that ``--json`` gives. Fields are only ever added; their docs are the reference (``clew.cli.docs``).

Times are milliseconds since 1970, durations milliseconds, money US dollars as decimal text. Values that come from a run are
shown with secrets masked.
"""

from typing import Any

import msgspec


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a run asks a human."""

    run: str
    key: str
    """Names the question: ``approve --key``."""
    task: str
    node: str
    kind: str
    """``ask``: a question, its answer is a value; ``approval``: the node's input is to be agreed to."""
    question: str
    arguments: Any = None
    schema: Any = None
    """JSON Schema that an answer, or edited arguments, must fit; null for none."""
    editable: bool = False
    approvers: list[str] = []
    digest: str = ""
    """Of the request that is shown here: ``approve --digest``."""
    due: int | None = None
    """When the wait ends by itself."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a run stands after a command drove it."""

    run: str
    workflow: str
    state: str
    """``queued | running | waiting | completed | failed | cancelled``."""
    status: str | None
    """``success | failure | partial``; null for a run that has not ended or was cancelled."""
    output: Any
    error: Any
    """``{code, message, details}`` or null."""
    cost: str
    unpriced: int
    """Calls whose price is not known: ``cost`` does not hold them."""
    duration_ms: int
    events: int
    paused: str
    """Where it is paused: a node, ``asked``, or empty."""
    driven: bool
    """A process drives it."""
    waiting: list[Question]


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A run that a command could do nothing with, and why."""

    run: str
    code: str
    message: str
    hint: str


class Outcomes(msgspec.Struct, frozen=True, kw_only=True):
    """Several runs."""

    runs: list[Outcome]
    refused: list[Refused] = []


class RunLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the run list."""

    run: str
    workflow: str
    state: str
    status: str | None
    created: int
    updated: int
    events: int
    head: str
    """Chain hash of the last event."""
    cost: str
    driven: bool
    parent: str
    """``run:key`` of the parent of a child run, or empty."""
    fork_of: str
    tenant: str
    user: str


class RunList(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first."""

    runs: list[RunLine]
    more: bool
    """There are older ones: ``--limit``, ``--before``."""


class EffectDoc(msgspec.Struct, frozen=True, kw_only=True):
    """One effect."""

    seq: int
    key: str
    kind: str
    name: str
    status: str
    """``ok | error | denied``, ``open`` (a wait without answer) or ``in doubt``."""
    duration_ms: int
    cost: str
    agent: str
    """The agent that asked; empty for a handler."""
    by: str
    """The deployment that answered a model effect: ``provider/name``."""
    request: Any
    output: Any
    error: Any
    notes: Any
    """How it came about: a model's routing and tries (``gateway``), an answer from the cache (``cache``) …"""


class NodeDoc(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of one node by one task."""

    seq: int
    task: str
    node: str
    role: str
    attempt: int
    entries: int
    """How often the body was entered: more than once after a wait or a crash."""
    state: str
    started: int
    ended: int | None
    input: Any
    output: Any
    error: Any
    route: str
    """Where the task went and why."""
    effects: list[EffectDoc]


class TaskDoc(msgspec.Struct, frozen=True, kw_only=True):
    """One task."""

    id: str
    state: str
    status: str | None
    node: str
    attempt: int
    lineage: list[str]
    merged_into: str | None
    waits: list[str]


class RunDoc(msgspec.Struct, frozen=True, kw_only=True):
    """A run read back, as it stood after event ``at``."""

    run: RunLine
    at: int
    start: str
    mode: str
    plan: str
    engine: str
    seed: int
    forked_at: int | None
    paused: str
    input: Any
    output: Any
    error: Any
    nodes: list[NodeDoc]
    tasks: list[TaskDoc]
    waiting: list[Question]


class EventDoc(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the journal."""

    seq: int
    at: int
    type: str
    task: str
    node: str
    key: str
    hash: str
    fact: dict[str, Any]
    """Everything the event says, without its content."""
    erased: bool
    payload: Any = msgspec.UNSET
    """Its content, where one event was asked for, and from ``tail``."""


class EventList(msgspec.Struct, frozen=True, kw_only=True):
    """The journal of a run, or a part of it."""

    run: str
    events: list[EventDoc]


class Preflight(msgspec.Struct, frozen=True, kw_only=True):
    """What a fork keeps and what it will do."""

    parent: str
    at: int
    kept: list[str]
    """Finished node attempts, ``task/node#attempt``."""
    replayed: list[str]
    """Keys of effects that unfinished bodies take from the journal."""
    entered_again: list[str]
    performed_anew: list[str]
    """What the parent performed after the cut, and a fork may perform again."""
    changes: list[str]
    """How the manifests differ."""


class ForkDoc(msgspec.Struct, frozen=True, kw_only=True):
    """``outcome`` is null with ``--dry-run`` and ``--no-run``; ``run`` is null with ``--dry-run``."""

    preflight: Preflight
    run: str | None
    outcome: Outcome | None


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """Something was done to a run; ``told``: the process that drives it does it."""

    run: str
    done: str
    told: bool = False


class FindingDoc(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong. ``seq`` 0: the run, or the ledger, as a whole."""

    run: str
    seq: int
    what: str
    message: str


class VerifyDoc(msgspec.Struct, frozen=True, kw_only=True):
    """``ok`` is true when nothing was found; ``head`` (``SEQ:HASH``) may be kept elsewhere for ``--head``."""

    ok: bool
    findings: list[FindingDoc]
    head: str
    events: int
    runs: int


class DivergenceDoc(msgspec.Struct, frozen=True, kw_only=True):
    """Where record and rules part."""

    seq: int
    message: str
    event: EventDoc


class ReplayDoc(msgspec.Struct, frozen=True, kw_only=True):
    """One replay. ``verdict``: ``identical | unfinished | diverged | erased``."""

    run: str
    verdict: str
    events: int
    bodies: int
    effects: int
    handlers: bool
    trace: str
    """Equal for equal behaviour, whatever the interleaving."""
    divergence: DivergenceDoc | None


class ReplayList(msgspec.Struct, frozen=True, kw_only=True):
    """``ok``: none diverged."""

    ok: bool
    replays: list[ReplayDoc]


class ProblemDoc(msgspec.Struct, frozen=True, kw_only=True):
    """One problem in the manifests; line and column count from 1, 0 is the whole file."""

    severity: str
    code: str
    file: str
    line: int
    column: int
    path: str
    found: str
    expected: str
    suggestion: str
    message: str
    text: str
    """All of it on one line."""


class CheckDoc(msgspec.Struct, frozen=True, kw_only=True):
    """``ok``: the project can run (with ``--strict``: there are no warnings either)."""

    ok: bool
    errors: list[ProblemDoc]
    warnings: list[ProblemDoc]


class PinLine(msgspec.Struct, frozen=True, kw_only=True):
    """``was``: how the tool stood in mcp.lock before: new, changed or same."""

    id: str
    was: str
    description: str


class PinDoc(msgspec.Struct, frozen=True, kw_only=True):
    """``further``: by entry of the manifest, what its server offers and the project does not take."""

    tools: list[PinLine]
    further: dict[str, list[str]]


class GraphNode(msgspec.Struct, frozen=True, kw_only=True):
    """A node; ``scope`` is that of a merge: a node, or empty for the run."""

    id: str
    kind: str
    role: str
    handler: str
    agent: str
    scope: str | None
    reachable: bool


class GraphEdge(msgspec.Struct, frozen=True, kw_only=True):
    """An edge."""

    source: str
    target: str
    label: str
    on_failure: bool


class GraphDoc(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow as it was compiled. ``drawing`` is what the command prints without ``--json``."""

    workflow: str
    start: str
    digest: str
    nodes: list[GraphNode]
    edges: list[GraphEdge]
    drawing: str


class NewDoc(msgspec.Struct, frozen=True, kw_only=True):
    """The files written."""

    directory: str
    files: list[str]


class ArtifactDoc(msgspec.Struct, frozen=True, kw_only=True):
    """A node's output or a tool's result: the content of event ``seq``."""

    seq: int
    task: str
    node: str
    kind: str
    name: str
    digest: str
    size: int


class ArtifactList(msgspec.Struct, frozen=True, kw_only=True):
    """What a run produced, in order."""

    run: str
    artifacts: list[ArtifactDoc]


class ErasedDoc(msgspec.Struct, frozen=True, kw_only=True):
    """How many payloads are forgotten."""

    run: str
    payloads: int


class BundleDoc(msgspec.Struct, frozen=True, kw_only=True):
    """An exported or imported run."""

    run: str
    file: str
    events: int
    redacted: bool


class CheckLine(msgspec.Struct, frozen=True, kw_only=True):
    """One check of the doctor. ``verdict``: ``ok | degraded | failed``."""

    name: str
    verdict: str
    message: str
    hint: str = ""


class DoctorDoc(msgspec.Struct, frozen=True, kw_only=True):
    """``status``: ``healthy | degraded | unhealthy``."""

    status: str
    checks: list[CheckLine]


class VersionDoc(msgspec.Struct, frozen=True, kw_only=True):
    """Versions of Clew and of what decides how it behaves."""

    clew: str
    core: int
    python: str
    sqlite: str
    platform: str
