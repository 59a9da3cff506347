"""An agent at work in a body: who it is, what it is told and offered at this node, and its loop's effects (G4, G5, T1)."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, cast

import msgspec

from clew.agents import loop
from clew.core.errors import Failure
from clew.core.graph import Node
from clew.gate.door import Local
from clew.gate.effect import Effect, Need, OnInDoubt, Outcome
from clew.gate.ports.tool import ToolSpec
from clew.manifest.compiled import NodePlan
from clew.runtime.ctx import Look
from clew.runtime.memory import shown
from clew.runtime.project import Project
from clew.runtime.settling import all_settled


class Performer(Protocol):
    """What an agent's effects need of the body it works in."""

    run: str
    task: str
    node: str
    seed: int

    async def perform(self, effect: Effect, local: Local | None = None) -> Outcome: ...

    def tool(self, name: str) -> tuple[bool, OnInDoubt, tuple[Need, ...]]: ...


class AgentHost(Performer, Protocol):
    """What an agent needs of the body it works in."""

    plan: NodePlan
    context: Any
    """What was assembled for the node, or None."""


async def agent_output(project: Project, body: AgentHost, name: str, value: Any, key: str) -> Any:
    """The output of agent ``name``, or of the one that is chosen where it is a pool. Keys of its effects begin with ``key``.

    At an agent node the node's instructions, schema and labels hold too. Raises Failure: ``unknown_agent``, ``invalid_input``,
    ``bad_selection``, and what the loop raises.
    """
    agents = project.plan.agents
    if name not in agents:
        raise Failure(f"there is no agent {name!r} (there are: {', '.join(agents) or 'none'})", code="unknown_agent")
    if agents[name].pool:
        name = await _selected(project, body, name, key)
    agent, plan = agents[name], body.plan
    if agent.schema_in:
        project.check(agent.schema_in, value, code="invalid_input", what=f"input of agent {name!r}")
    schema, labels = agent.schema_out, ()
    if plan.agent is not None:
        schema, labels = plan.schema_out or schema, _labels(project, body.node)
    job = loop.Job(
        name=name,
        agent=agent,
        input=value,
        instructions=plan.instructions or "",
        schema=project.plan.schemas[schema] if schema else _route(labels),
        labels=labels,
        tools={tool: _described(project, tool) for tool in agent.tools if tool in plan.tools},
        context=shown(body.context) if plan.agent is not None and body.context is not None else "",
    )
    return await loop.run(job, Seat(body, name, key))


async def conversation(body: Performer, job: loop.Job, look: Look, key: str) -> tuple[Any, list[dict[str, Any]]]:
    """The output of an agent that no manifest declares, and all that was said. Raises Failure as the loop does."""
    seat = _Looking(body, job.name, key, look)
    output = await loop.run(job, seat)
    return output, [*seat.request["messages"], {"role": "assistant", "parts": seat.answer["parts"]}]


async def _selected(project: Project, body: AgentHost, pool: str, key: str) -> str:
    members = project.plan.agents[pool].pool
    request = {"pool": list(members), "models": {member: project.plan.agents[member].model for member in members}}
    output = (await Seat(body, pool, key).perform("select", "selection", pool, request, repeat_safe=True)).value()
    chosen: Any = cast("dict[str, Any]", output).get("agent") if isinstance(output, dict) else None
    if chosen not in members:
        raise Failure(f"pool {pool!r}: {chosen!r} was selected, which is none of its agents", code="bad_selection")
    return chosen


def _labels(project: Project, node: str) -> tuple[str, ...]:
    """Of a decision's edges; empty for any other node."""
    graph = project.plan.graph
    found: Node = next(n for n in graph.nodes if n.id == node)
    return tuple(e.label for e in graph.edges if e.source == node and e.label) if found.role == "decision" else ()


def _route(labels: tuple[str, ...]) -> dict[str, Any] | None:
    """The schema of a decision that has none of its own."""
    if not labels:
        return None
    properties = {"route": {"type": "string", "enum": list(labels)}}
    return {"type": "object", "properties": properties, "required": ["route"], "additionalProperties": False}


def _described(project: Project, tool: str) -> ToolSpec:
    """The tool as the manifest describes it."""
    spec, described = project.tools[tool], project.plan.tools[tool].description
    return msgspec.structs.replace(spec, description=described) if described else spec


class Seat:
    """The loop's view of the body: effects in the agent's name. ``needs``: what its turns are for needs them."""

    def __init__(self, body: Performer, agent: str, key: str, needs: tuple[Need, ...] = ()) -> None:
        self._body, self.agent, self._key, self._needs = body, agent, key, needs
        self.seed = body.seed

    async def perform(
        self, key: str, kind: str, name: str, request: Any, local: Local | None = None, **fields: Any
    ) -> Outcome:
        body = self._body
        effect = Effect(
            key=self._key + key, kind=kind, name=name, request=request, task=body.task, node=body.node, run=body.run,
            agent=self.agent, **fields,
        )  # fmt: skip
        return await body.perform(effect, local)

    async def model(self, key: str, request: dict[str, Any]) -> Outcome:
        return await self.perform(key, "model", request["model"], request, repeat_safe=True, needs=self._needs)

    async def tool(self, key: str, tool: str, arguments: dict[str, Any]) -> Outcome:
        repeat_safe, on_in_doubt, needs = self._body.tool(tool)
        return await self.perform(
            key, "tool", tool, arguments, repeat_safe=repeat_safe, on_in_doubt=on_in_doubt, needs=needs
        )

    async def together(self, work: Sequence[Callable[[], Awaitable[Outcome]]]) -> list[Outcome]:
        if len(work) == 1:
            return [await work[0]()]
        return await all_settled([(one, None) for one in work])


class _Looking(Seat):
    """Its tools are the caller's and change nothing. ``request`` and ``answer`` are the last ones of the model."""

    def __init__(self, body: Performer, agent: str, key: str, look: Look) -> None:
        super().__init__(body, agent, key)
        self._look = look
        self.request: dict[str, Any] = {}
        self.answer: Any = None

    async def model(self, key: str, request: dict[str, Any]) -> Outcome:
        outcome = await super().model(key, request)
        self.request, self.answer = request, outcome.output
        return outcome

    async def tool(self, key: str, tool: str, arguments: dict[str, Any]) -> Outcome:
        async def local(final: Effect) -> Any:
            return await self._look(tool, final.request)

        return await self.perform(key, "tool", tool, arguments, local, repeat_safe=True)
