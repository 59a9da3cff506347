"""``workflow``: nodes and edges."""

from typing import Annotated, Literal

from msgspec import field

from clew.manifest.models.base import (
    Bound,
    Count,
    DottedName,
    Duration,
    FilledText,
    HandlerRef,
    Name,
    SchemaRef,
    Section,
    TaskMode,
)


class BackoffModel(Section):
    """Pause before attempt n+1: ``min(initial * factor ** (n - 1), max)``."""

    initial: Duration = "1s"
    """Pause before the second attempt."""
    factor: Annotated[float, Bound(least=1, most=100)] = 2.0
    """By how much each further pause is longer."""
    max: Duration = "30s"
    """The longest pause."""


class RetryModel(Section):
    """Further attempts of one node execution after a failure; each is in the history."""

    max_attempts: Annotated[int, Bound(least=1, most=100)] = 1
    """Attempts in all, the first included."""
    backoff: BackoffModel | None = None
    """Pauses between attempts (default: 1s, doubled up to 30s)."""
    on: list[FilledText] | None = None
    """Error codes that are tried again, such as ``timeout`` or ``provider``; without it every code that is not final."""


class ApprovalModel(Section):
    """A human must agree before the node's body runs; the run waits durably."""

    approvers: list[FilledText] | None = None
    """Users or roles that may answer; without it whoever may approve runs."""
    timeout: Duration | None = None
    """After this the default is the answer; without it the run waits for ever."""
    default: Literal["approve", "reject"] = "reject"
    """The answer when the time is over."""
    editable: bool = False
    """Whether the answer may edit the node's input."""
    message: FilledText | None = None
    """What the human is asked."""


class NodeModel(Section):
    """One node of the graph."""

    id: Name
    """Unique in the workflow."""
    kind: Literal["agent", "deterministic"]
    """Whether an agent or a handler is the body."""
    role: Literal["start", "linear", "decision", "branch", "split", "merge", "exit"]
    """What the node does to the flow; it fixes how many edges it has."""
    default: bool = False
    """Start only: taken when the caller names no start (exactly one of several starts)."""
    handler: HandlerRef | None = None
    """``module:function`` of a deterministic node; modules are looked up in the project directory first."""
    agent: DottedName | None = None
    """The agent of an agent node."""
    instructions: FilledText | None = None
    """Added to the agent's instructions: a text, or a path of the project that ends in .md or .txt."""
    tools: list[DottedName] | None = None
    """Tools that the body may call here; an agent node that does not say allows its agent's."""
    context: DottedName | None = None
    """A context profile, ``global`` or ``none`` (default)."""
    schema_in: SchemaRef | None = None
    """JSON Schema of the input: the name of ``schemas/<name>.json``, or the schema itself."""
    schema_out: SchemaRef | None = None
    """JSON Schema of the output."""
    mode: TaskMode | None = None
    """Restricts what the body may do."""
    retry: RetryModel | None = None
    """Further attempts after a failure."""
    timeout: Duration | None = None
    """Running time of one attempt (default 5m)."""
    continue_on_failure: bool = False
    """Linear and merge only: a failure passes the input on and makes the task partial."""
    approval: bool | ApprovalModel | None = None
    """Ask a human before the body runs: ``true``, or how to ask."""
    effects: Literal["ctx", "external"] | None = None
    """``external``: the handler touches the world by itself, so its whole body is one effect (default ``ctx``)."""
    isolation: Literal["thread", "process"] | None = None
    """``process`` runs the handler where it can be killed (default ``thread``)."""
    on_in_doubt: Literal["fail", "ask", "retry"] | None = None
    """What to do about an effect of which nobody knows whether it happened (default ``fail``)."""
    wait: Literal["all", "first"] | None = None
    """Branch only: wait for all arms (default), or let the first success cancel the others."""
    over: Annotated[str, Bound(pattern=r"^[^.\s]+(\.[^.\s]+)*$", what="a dotted path such as items")] | None = None
    """Split only: dotted path of a list in the output; one subtask per item along the single edge."""
    max_parallel: Count | None = None
    """Split only: how many items may have a queued or running task at once."""
    joins: Name | None = None
    """Merge only: the scope node, where it is not the innermost branch or split."""
    on_failure: Literal["fail", "ignore", "partial"] | None = None
    """Merge only: what a failed arrival does (default ``fail``)."""
    always_fail: bool = False
    """Exit only: the arm ends as a failure."""


class EdgeModel(Section):
    """One edge of the graph."""

    source: Name = field(name="from")
    """Id of the node it leaves."""
    target: Name = field(name="to")
    """Id of the node it enters."""
    label: FilledText | None = None
    """What a decision's output names to take this edge."""
    on: Literal["success", "failure"] | None = None
    """``failure``: taken when the node fails (default ``success``)."""


class Workflow(Section):
    """The graph."""

    id: Name
    """Name of the workflow."""
    nodes: Annotated[list[NodeModel], Bound(min_length=1)]
    """In the order in which they are shown."""
    edges: list[EdgeModel]
    """The order of a branch's or split's edges gives the positions of its arms."""
    description: FilledText | None = None
    """For readers."""
    version: FilledText | None = None
    """For readers; recorded in the run."""
    max_arms: Annotated[int, Bound(least=1, most=10_000)] | None = None
    """Bodies of one run that may be under way at once (default 8)."""
