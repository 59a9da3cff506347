"""What a project compiles to: the Plan, plain frozen data that is recorded with every run.

A resumed run uses the recorded Plan, so everything a run depends on stands here as values: prompt texts and schemas
are included, not named by path. Times are milliseconds, money is a decimal number of US dollars written as a string.
"""

from typing import Any, Literal

import msgspec

from clew.core.graph import Graph

Effects = Literal["ctx", "external"]
Isolation = Literal["thread", "process"]
OnInDoubt = Literal["fail", "ask", "retry"]
Mode = Literal["implement", "analysis_only", "review", "dry_run", "safe_mode"]
Risk = Literal["low", "medium", "high"]
ToolType = Literal["builtin", "handler", "mcp"]
ProfileName = Literal["small", "standard", "large"]
"""Limits of code that a tool runs; ``gate.ports.sandbox`` has the figures."""

DEFAULT_TIMEOUT_MS = 300_000


class ApprovalSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A human must agree before the node's body runs. No ``approvers`` means whoever may approve runs."""

    approvers: tuple[str, ...] = ()
    timeout_ms: int | None = None
    """``None`` waits for ever; otherwise ``default`` is the answer when the time is over."""
    default: Literal["approve", "reject"] = "reject"
    editable: bool = False
    message: str | None = None


class NodePlan(msgspec.Struct, frozen=True, kw_only=True):
    """How a node's body runs. Its role, edges and retries are the graph's."""

    handler: str | None = None
    """``module:function``; without one a deterministic node does what its role does by default."""
    agent: str | None = None
    instructions: str | None = None
    """Text that is added to the agent's own instructions at this node."""
    tools: tuple[str, ...] = ()
    context: str = "none"
    """A context profile's id, ``global`` or ``none``."""
    schema_in: str | None = None
    """A name in ``Plan.schemas``; inline schemas have names that begin with ``#``."""
    schema_out: str | None = None
    timeout_ms: int = DEFAULT_TIMEOUT_MS
    """Per attempt; counts running time only."""
    effects: Effects = "ctx"
    isolation: Isolation = "thread"
    on_in_doubt: OnInDoubt = "fail"
    approval: ApprovalSpec | None = None
    mode: Mode | None = None


class Permissions(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool may touch. ``root``: the directory its paths are confined to, relative to the project."""

    root: str | None = None
    network: bool = False
    shell: bool = False


class ToolPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A declared tool. ``inputs`` and ``outputs`` are JSON Schemas.

    ``server``: the MCP server of an ``mcp`` tool, which calls it ``name``; where the project does not describe the tool itself,
    the description and schemas are those that were pinned, and ``pin`` is the SHA-256 that the server's must have.
    """

    type: ToolType
    description: str | None = None
    handler: str | None = None
    server: dict[str, Any] | None = None
    name: str | None = None
    pin: str | None = None
    inputs: dict[str, Any] | None = None
    outputs: dict[str, Any] | None = None
    capabilities: tuple[str, ...] = ()
    permissions: Permissions = Permissions()
    risk: Risk = "low"
    repeat_safe: bool = False
    on_in_doubt: OnInDoubt = "fail"
    timeout_ms: int = DEFAULT_TIMEOUT_MS
    config: dict[str, Any] = {}


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one agent body; ``None`` leaves it to the engine. ``cost``: US dollars, a decimal string."""

    steps: int | None = None
    tokens: int | None = None
    cost: str | None = None
    time_ms: int | None = None


class AgentPlan(msgspec.Struct, frozen=True, kw_only=True):
    model: str
    description: str | None = None
    fallbacks: tuple[str, ...] = ()
    instructions: str = ""
    tools: tuple[str, ...] = ()
    schema_in: str | None = None
    schema_out: str | None = None
    limits: Limits = Limits()
    parameters: dict[str, Any] = {}
    chain_of_thought: bool = False
    corrections: int = 3
    pool: tuple[str, ...] = ()
    """Not one agent but a choice of these, made for each body by recorded fitness; all else is the chosen agent's."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A checked project. Round-trips through JSON; ``digest`` is the same for every layout of the same content."""

    workflow: str
    graph: Graph
    nodes: dict[str, NodePlan]
    """One for every node of the graph."""
    tools: dict[str, ToolPlan] = {}
    agents: dict[str, AgentPlan] = {}
    schemas: dict[str, Any] = {}
    """JSON Schemas by name, self-contained: a schema that refers to another file carries it under ``$defs``."""
    sections: dict[str, Any] = {}
    """The other sections as plain JSON, in the one written spelling; only what the manifests say."""
    handlers: dict[str, str] = {}
    """Handler reference -> SHA-256 of the file that defines it. Not part of the digest."""
    files: dict[str, str] = {}
    """Project file -> SHA-256, for every manifest, schema, prompt and handler file. Not part of the digest."""
    digest: str = ""
    """SHA-256 over graph, nodes, tools, agents, schemas, sections and, where it is named, project."""
    engine: str = ""
    """Version of Clew that compiled it. Not part of the digest."""
    project: str = ""
    """Whose memory it works with, where that is not its workflow's: an agent that works by itself does so in its project."""
