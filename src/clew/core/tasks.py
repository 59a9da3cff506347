"""Tasks and instances: the mutable records that ``flow`` and ``slots`` keep. States are moved by ``states`` only."""

from typing import Any, Literal

from clew.core.events import Status
from clew.core.routing import Leaf
from clew.core.states import Body, Lifecycle

Arrival = Literal["normal", "failure", "nothing"]
Position = tuple[int, ...]


class Instance:
    """One opening of a scope: of the run, or by a task that entered a branch, a split or a node named by ``joins``.

    ``spawned`` instances have a parent task and members of their own (children and merge continuations); in the others the task
    that opened them is itself the member, and its leaves count where it is at home.
    """

    __slots__ = (
        "absorbed", "active", "arrivals", "blockers", "bounds", "chain", "decided", "depth", "first", "leaves", "live",
        "max_parallel", "members", "owner", "parked", "scope", "spawned",
    )  # fmt: skip

    def __init__(self, scope: str | None, owner: "Task | None", chain: "dict[str | None, Instance]") -> None:
        self.scope = scope
        self.owner = owner
        self.chain = chain | {scope: self}
        """Scope node -> instance, of everything around a task in here, this instance included."""
        self.depth = len(owner.position) if owner else 0
        self.spawned = owner is None
        self.first = False
        self.decided = False
        self.members: list[Task] = []
        self.live = 0
        self.leaves: list[tuple[Position, Leaf]] = []
        self.absorbed: list[tuple[Position, str]] = []
        """Members that a merge further out took, with its task's id."""
        self.arrivals: dict[str, list[Task]] = {}
        self.blockers: dict[str, int] = {}
        """Merge of this scope -> members, at any depth, that can still reach it."""
        self.bounds: tuple[Instance, ...] = ()
        """Splits with ``max_parallel`` around members of this instance, outermost first."""
        self.max_parallel = 0
        self.active: dict[int, int] = {}
        self.parked: list[tuple[Position, str, Task]] = []


class Task:
    """The unit that flows through the graph. ``partial``: the mark that makes its exit partial."""

    __slots__ = (
        "answered", "arrival", "attempt", "body", "counted", "crashes", "entry", "error", "held", "home", "id", "input",
        "lineage", "merged_into", "node", "output", "partial", "position", "source", "state", "status", "waits", "within",
    )  # fmt: skip

    def __init__(
        self, ident: str, position: Position, lineage: tuple[str, ...], home: Instance, within: Instance
    ) -> None:
        self.id = ident
        self.position = position
        self.lineage = (*lineage, ident)
        self.home = home
        """The spawned instance (or the run) whose result it is part of."""
        self.within = within
        """The innermost instance around it."""
        self.state: Lifecycle = "queued"
        self.body: Body = "pending"
        self.node = ""
        self.source = ""
        self.input: Any = None
        self.output: Any = None
        self.error: dict[str, Any] | None = None
        self.status: Status | None = None
        self.partial = False
        self.merged_into: str | None = None
        self.arrival: Arrival | None = None
        self.attempt = 1
        self.entry = 0
        self.crashes = 0
        self.answered = False
        self.waits: dict[str, None] = {}
        self.held = 0
        self.counted: list[tuple[Instance, str]] = []

    def arm(self, instance: Instance) -> int:
        """Which arm (edge or item) of a spawned instance this task belongs to."""
        return self.position[instance.depth]

    def view(self) -> dict[str, Any]:
        """Everything but links, as JSON."""
        skip = {"home", "within", "counted", "waits"}
        seen = {name: getattr(self, name) for name in self.__slots__ if name not in skip}
        return seen | {"within": self.within.scope, "waits": list(self.waits)}
