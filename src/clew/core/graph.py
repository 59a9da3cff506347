"""The graph a machine runs on: plain frozen data, already checked (``clew.manifest`` builds it).

Order matters: nodes and edges stand in manifest order, and the order of a branch's or split's edges gives the
positions of its arms.
"""

from typing import Literal

import msgspec

NodeKind = Literal["agent", "deterministic"]
Role = Literal["start", "linear", "decision", "branch", "split", "merge", "exit"]
Wait = Literal["all", "first"]
OnFailure = Literal["fail", "ignore", "partial"]


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """Pause before attempt n+1: ``min(initial * factor ** (n - 1), max)``; milliseconds."""

    initial_ms: int = 1_000
    factor: float = 2.0
    max_ms: int = 30_000


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """``on``: the error codes that are tried again; empty means every code that is not final by nature."""

    max_attempts: int = 1
    backoff: Backoff = Backoff()
    on: tuple[str, ...] = ()


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine must know of a node. Bodies (handlers, agents, schemas) are the Plan's, not the graph's."""

    id: str
    kind: NodeKind = "deterministic"
    role: Role
    default: bool = False
    """The start taken when the caller names none (exactly one start of a graph has it)."""
    wait: Wait = "all"
    """Branch only."""
    over: str | None = None
    """Split only: dotted path of a list in the node's output; one subtask per item."""
    max_parallel: int | None = None
    """Split only: how many items may have a queued or running task at once."""
    joins: str | None = None
    """Merge only: the scope node, where it is not the innermost branch or split."""
    on_failure: OnFailure = "fail"
    """Merge only: what a failed arrival does."""
    always_fail: bool = False
    """Exit only."""
    continue_on_failure: bool = False
    retry: Retry = Retry()


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    source: str
    target: str
    label: str | None = None
    on_failure: bool = False


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """Nodes and edges in manifest order. ``max_arms``: bodies of one run that may be under way at once."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    max_arms: int = 8
