"""``agents``, ``tools`` and ``memory``: who works, with what, knowing what."""

from typing import Annotated, Any, Literal

from clew.manifest.models.base import (
    Backend,
    Bound,
    Count,
    DottedName,
    Duration,
    FilledText,
    HandlerRef,
    ModelRef,
    Money,
    Retention,
    SchemaRef,
    Section,
    Share,
)


class LimitsModel(Section):
    """Bounds of one agent body."""

    steps: Count | None = None
    """Model turns."""
    tokens: Count | None = None
    """Tokens in and out together."""
    cost: Money | None = None
    """US dollars."""
    time: Duration | None = None
    """Running time."""


class Agent(Section):
    """An agent that nodes may name, or a pool of them."""

    id: DottedName
    """Unique in the project."""
    model: ModelRef | None = None
    """A logical model, or ``provider/name``. Every agent has one, a pool has none."""
    pool: Annotated[list[DottedName], Bound(min_length=1)] | None = None
    """Agents of which one is chosen for each execution of a node, by recorded fitness. Besides, a pool has a ``description``."""
    description: FilledText | None = None
    """What it is good for."""
    fallbacks: list[ModelRef] | None = None
    """Models to try when the first is not to be had."""
    instructions: FilledText | None = None
    """A text, a path of the project that ends in .md or .txt, or ``clew:planner`` for the planner's own."""
    tools: list[DottedName] | None = None
    """Tools that it may call."""
    schema_in: SchemaRef | None = None
    """JSON Schema of the input."""
    schema_out: SchemaRef | None = None
    """JSON Schema of the output; a node's own has precedence."""
    limits: LimitsModel | None = None
    """Bounds of one body."""
    parameters: dict[str, Any] | None = None
    """Passed to the model (default: temperature 0, a fixed seed)."""
    chain_of_thought: bool = False
    """Ask for the reasoning before the answer."""
    corrections: Annotated[int, Bound(least=0, most=3)] = 3
    """How often a wrong output goes back to the model."""


class PermissionsModel(Section):
    """What a tool may touch."""

    root: FilledText | None = None
    """Directory its paths are confined to, relative to the project."""
    network: bool = False
    """Whether it may open connections."""
    shell: bool = False
    """Whether it may run commands."""


class McpServer(Section):
    """Where an MCP tool comes from: a command or an address."""

    command: Annotated[list[FilledText], Bound(min_length=1)] | None = None
    """Program and arguments of a server over standard input and output."""
    url: FilledText | None = None
    """Address of a server over HTTP."""
    env: dict[str, str] | None = None
    """Environment of a command, besides PATH, HOME, LANG, TMPDIR and TZ; no secrets."""
    credential: DottedName | None = None
    """Credential to present: over HTTP as a bearer token, to a command in ``credential_env``."""
    credential_env: FilledText | None = None
    """Environment variable of a command that holds the credential."""


class Tool(Section):
    """A tool that nodes and agents may be allowed."""

    id: DottedName
    """Unique in the project."""
    type: Literal["builtin", "handler", "mcp"] | None = None
    """Without it: ``handler`` where a handler is given, ``mcp`` where a server is."""
    description: FilledText | None = None
    """Shown to the model."""
    handler: HandlerRef | None = None
    """``module:function`` of a handler tool, called with (arguments, ctx)."""
    server: McpServer | None = None
    """Server of an MCP tool."""
    name: FilledText | None = None
    """What the server calls its tool (default: the id)."""
    tools: Annotated[list[DottedName], Bound(min_length=1)] | None = None
    """Instead of one tool of the server, these, and no others: with the id ``files``, ``read`` becomes ``files.read``."""
    inputs: SchemaRef | None = None
    """JSON Schema of the arguments."""
    outputs: SchemaRef | None = None
    """JSON Schema of the result."""
    capabilities: list[FilledText] | None = None
    """What it can do, such as ``read`` or ``mutate``."""
    permissions: PermissionsModel | None = None
    """What it may touch."""
    risk: Literal["low", "medium", "high"] | None = None
    """For policies and approval (default ``low``)."""
    repeat_safe: bool = False
    """Calling it twice does no more than calling it once."""
    on_in_doubt: Literal["fail", "ask", "retry"] | None = None
    """What to do about a call of which nobody knows whether it happened (default ``fail``)."""
    timeout: Duration | None = None
    """Running time of one call (default 5m)."""
    config: dict[str, Any] | None = None
    """Settings of a built-in tool."""


class Store(Section):
    """Where a scope's documents are kept."""

    backend: Backend = "sqlite"
    """``file`` is JSON lines; ``postgres`` is not available yet."""
    path: FilledText | None = None
    """Folder, relative to the state directory (default ``context``)."""
    credential: DottedName | None = None
    """Credential with the address of a server."""
    retention: Retention | None = None
    """What is kept."""


class ContextSource(Section):
    """One place context is taken from."""

    store: Literal["global", "project", "session", "task"]
    """The scope."""
    tags: list[FilledText] | None = None
    """Only documents with one of these tags."""


class ContextProfile(Section):
    """How a node's context is assembled."""

    id: DottedName
    """What nodes name."""
    max_tokens: Annotated[int, Bound(least=1, most=999_999)] | None = None
    """Room for all of it (default 4000)."""
    retrieval_policy: Literal["recency", "semantic", "hybrid"] = "hybrid"
    """What decides which documents come first."""
    sources: list[ContextSource] | None = None
    """Where they come from."""


class Search(Section):
    """Hybrid search."""

    k: Annotated[int, Bound(least=1, most=10_000)] | None = None
    """Results (default 10; for a node's context, of each source, as many as its room may hold)."""
    strategy: Literal["AUTO", "DENSE_FIRST", "SPARSE_FIRST", "PARALLEL"] | None = None
    """How the two lists are made (default AUTO)."""
    fusion: Literal["RECIPROCAL_RANK", "WEIGHTED_SUM", "MAX_SCORE"] | None = None
    """How they become one (default RECIPROCAL_RANK; WEIGHTED_SUM where memory makes its own vectors)."""
    rrf_k: Annotated[int, Bound(least=1, most=100_000)] | None = None
    """Constant of reciprocal rank fusion (default 60)."""
    dense_weight: Share | None = None
    """Weight of the dense list (default 0.5; of a collection that learned its vectors from a part of its documents, less)."""
    sparse_weight: Share | None = None
    """Weight of the sparse list (default 0.5, or what the dense one has less)."""
    graph_weight: Share | None = None
    """Weight of what the graph reaches from the query's entities (default 0: not asked)."""
    rerank_factor: Annotated[int, Bound(least=1, most=1000)] | None = None
    """How many candidates per result are looked at (default 10)."""
    deterministic: bool = False
    """No adaptive tuning."""


Turns = Annotated[int, Bound(least=0, most=400)]


class Conversation(Section):
    """What is kept of a conversation."""

    keep_turns: Turns | None = None
    """Last turns kept word for word (default 10)."""
    summarise_after: Turns | None = None
    """Turns after which the older ones are summarised (default 20)."""
    agent: DottedName | None = None
    """Who writes the summary: an agent with a model; its tools and schemas do not matter here. Without it, the most telling
    sentences stand for the rest."""


class Embedding(Section):
    """What makes the vectors of documents and queries: a provider's ``model``, or a model in a ``folder``."""

    model: ModelRef | None = None
    """``provider/name``; of no logical model, since vectors of two models cannot be compared."""
    folder: FilledText | None = None
    """Folder of a local model, relative to the project (tokenizer.json, model.safetensors)."""
    dimensions: Annotated[int, Bound(least=1, most=65_536)] | None = None
    """Length of the vectors, where the model can make shorter ones."""
    batch: Annotated[int, Bound(least=1, most=2048)] | None = None
    """Texts that are sent together (default 64)."""


class Extraction(Section):
    """Who reads the relations of the knowledge graph in documents that runs keep. Rules do where it fails, and outside of runs."""

    agent: DottedName
    """An agent with a model; its tools and schemas do not matter here."""


class Merge(Section):
    """Who settles what is in conflict where runs merge documents. Without it, the conflict is the handler's."""

    agent: DottedName
    """An agent with a model; its tools and schemas do not matter here."""


class Memory(Section):
    """Stores per scope, context profiles, search, embedding, extraction, merges and conversation memory."""

    global_store: Store | None = None
    """Documents of every project."""
    project_store: Store | None = None
    """Documents of this project."""
    session_store: Store | None = None
    """Documents of one session."""
    task_store: Store | None = None
    """Documents of one run."""
    context_profiles: list[ContextProfile] | None = None
    """What nodes name as their ``context``."""
    search: Search | None = None
    """Defaults of search."""
    embedding: Embedding | None = None
    """What makes the vectors; without it, an embedder that learns from the documents themselves, offline."""
    extraction: Extraction | None = None
    """Who reads the relations of the knowledge graph; without it, rules find them."""
    merge: Merge | None = None
    """Who settles conflicts of merges."""
    conversation: Conversation | None = None
    """Conversation memory."""
