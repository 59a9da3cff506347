"""Checked models to a Plan."""

from typing import Any

import msgspec

from clew.core.graph import Backoff, Edge, Graph, Node, Retry
from clew.core.identity import digest
from clew.manifest.compiled import (
    DEFAULT_TIMEOUT_MS,
    AgentPlan,
    ApprovalSpec,
    Limits,
    NodePlan,
    Permissions,
    Plan,
    ToolPlan,
)
from clew.manifest.models.agents import Agent, LimitsModel, Tool
from clew.manifest.models.project import SECTIONS, Project
from clew.manifest.models.workflow import ApprovalModel, NodeModel, RetryModel
from clew.manifest.pins import Pin, names_of
from clew.manifest.problems import Path
from clew.manifest.quantities import dollars, milliseconds

_COMPILED = ("workflow", "agents", "tools")
"""Sections that have a place of their own in the Plan."""


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What a Plan is made of."""

    project: Project
    texts: dict[Path, str]
    schemas: dict[str, Any]
    handlers: dict[str, str]
    files: dict[str, str]
    engine: str
    pins: dict[str, Pin] = {}


def graph_of(project: Project) -> Graph:
    """The graph of a workflow whose nodes and edges are sound."""
    workflow = project.workflow
    starts = [node.id for node in workflow.nodes if node.role == "start"]
    nodes = tuple(_node(node, only_start=starts == [node.id]) for node in workflow.nodes)
    edges = tuple(
        Edge(source=edge.source, target=edge.target, label=edge.label, on_failure=edge.on == "failure")
        for edge in workflow.edges
    )
    return Graph(nodes=nodes, edges=edges, max_arms=workflow.max_arms or Graph(nodes=(), edges=()).max_arms)


def compile_plan(parts: Parts) -> Plan:
    """The Plan of a project that was found to be free of errors."""
    project = parts.project
    plan = Plan(
        workflow=project.workflow.id,
        graph=graph_of(project),
        nodes={
            node.id: _node_plan(node, parts.texts.get(("workflow", "nodes", index, "instructions")), project)
            for index, node in enumerate(project.workflow.nodes)
        },
        tools={
            name: _pinned(_tool_plan(tool, parts.schemas), named, parts.pins.get(name))
            for tool in project.tools
            for name, named, _ in names_of(tool)
        },
        agents={
            agent.id: _agent_plan(agent, parts.texts.get(("agents", index, "instructions")))
            for index, agent in enumerate(project.agents)
        },
        schemas=dict(sorted(parts.schemas.items())),
        sections=_sections(project),
        handlers=parts.handlers,
        files=parts.files,
        engine=parts.engine,
    )
    return msgspec.structs.replace(plan, digest=plan_digest(plan))


def plan_digest(plan: Plan) -> str:
    """SHA-256 over everything that decides how a run goes; not over file layout, comments or handler sources."""
    return digest(
        {
            "workflow": plan.workflow,
            "graph": plan.graph,
            "nodes": plan.nodes,
            "tools": plan.tools,
            "agents": plan.agents,
            "schemas": plan.schemas,
            "sections": plan.sections,
            **({"project": plan.project} if plan.project else {}),
        }
    )


def _node(node: NodeModel, *, only_start: bool) -> Node:
    return Node(
        id=node.id,
        kind=node.kind,
        role=node.role,
        default=node.default or only_start,
        wait=node.wait or "all",
        over=node.over,
        max_parallel=node.max_parallel,
        joins=node.joins,
        on_failure=node.on_failure or "fail",
        always_fail=node.always_fail,
        continue_on_failure=node.continue_on_failure,
        retry=_retry(node.retry),
    )


def _retry(retry: RetryModel | None) -> Retry:
    if retry is None:
        return Retry()
    backoff = Backoff()
    if retry.backoff is not None:
        backoff = Backoff(
            initial_ms=milliseconds(retry.backoff.initial),
            factor=retry.backoff.factor,
            max_ms=milliseconds(retry.backoff.max),
        )
    return Retry(max_attempts=retry.max_attempts, backoff=backoff, on=tuple(retry.on or ()))


def _timeout(duration: str | None) -> int:
    return milliseconds(duration) if duration is not None else DEFAULT_TIMEOUT_MS


def _node_plan(node: NodeModel, instructions: str | None, project: Project) -> NodePlan:
    return NodePlan(
        handler=node.handler,
        agent=node.agent,
        instructions=instructions,
        tools=tuple(_agents_tools(node.agent, project) if node.tools is None else node.tools),
        context=node.context or "none",
        schema_in=_schema_name(node.schema_in, f"#nodes.{node.id}.schema_in"),
        schema_out=_schema_name(node.schema_out, f"#nodes.{node.id}.schema_out"),
        timeout_ms=_timeout(node.timeout),
        effects=node.effects or "ctx",
        isolation=node.isolation or "thread",
        on_in_doubt=node.on_in_doubt or "fail",
        approval=_approval(node.approval),
        mode=node.mode,
    )


def _agents_tools(agent: str | None, project: Project) -> list[str]:
    """What a node allows that does not say: all that its agent, or whoever of a pool is chosen, may use."""
    agents = {one.id: one for one in project.agents}
    named = agents.get(agent or "")
    members = [agents[name] for name in named.pool or () if name in agents] if named else []
    tools = [tool for one in (named, *members) if one is not None for tool in one.tools or ()]
    return list(dict.fromkeys(tools))


def _schema_name(wanted: str | dict[str, Any] | None, inline: str) -> str | None:
    return inline if isinstance(wanted, dict) else wanted


def _approval(approval: bool | ApprovalModel | None) -> ApprovalSpec | None:
    if approval is None or approval is False:
        return None
    if approval is True:
        return ApprovalSpec()
    return ApprovalSpec(
        approvers=tuple(approval.approvers or ()),
        timeout_ms=milliseconds(approval.timeout) if approval.timeout is not None else None,
        default=approval.default,
        editable=approval.editable,
        message=approval.message,
    )


def _tool_plan(tool: Tool, schemas: dict[str, Any]) -> ToolPlan:
    permissions = tool.permissions
    kind = tool.type or ("mcp" if tool.server is not None else "handler")
    return ToolPlan(
        type=kind,
        description=tool.description,
        handler=tool.handler,
        server=msgspec.to_builtins(tool.server) if tool.server is not None else None,
        inputs=_schema(tool.inputs, schemas, f"#tools.{tool.id}.inputs"),
        outputs=_schema(tool.outputs, schemas, f"#tools.{tool.id}.outputs"),
        capabilities=tuple(tool.capabilities or ()),
        permissions=Permissions(root=permissions.root, network=permissions.network, shell=permissions.shell)
        if permissions is not None
        else Permissions(),
        risk=tool.risk or "low",
        repeat_safe=tool.repeat_safe,
        on_in_doubt=tool.on_in_doubt or "fail",
        timeout_ms=_timeout(tool.timeout),
        config=tool.config or {},
    )


def _pinned(plan: ToolPlan, name: str, pin: Pin | None) -> ToolPlan:
    if plan.type != "mcp":
        return plan
    plan = msgspec.structs.replace(plan, name=name)
    if pin is None:
        return plan
    described = plan.description or pin.description
    return msgspec.structs.replace(plan, pin=pin.pin, description=described, inputs=pin.inputs, outputs=pin.outputs)


def _schema(wanted: str | dict[str, Any] | None, schemas: dict[str, Any], inline: str) -> Any:
    name = _schema_name(wanted, inline)
    return None if name is None else schemas[name]


def _agent_plan(agent: Agent, instructions: str | None) -> AgentPlan:
    return AgentPlan(
        model=agent.model or "",
        description=agent.description,
        fallbacks=tuple(agent.fallbacks or ()),
        instructions=instructions or "",
        tools=tuple(agent.tools or ()),
        schema_in=_schema_name(agent.schema_in, f"#agents.{agent.id}.schema_in"),
        schema_out=_schema_name(agent.schema_out, f"#agents.{agent.id}.schema_out"),
        limits=_limits(agent.limits),
        parameters=agent.parameters or {},
        chain_of_thought=agent.chain_of_thought,
        corrections=agent.corrections,
        pool=tuple(agent.pool or ()),
    )


def _limits(limits: LimitsModel | None) -> Limits:
    if limits is None:
        return Limits()
    return Limits(
        steps=limits.steps,
        tokens=limits.tokens,
        cost=dollars(limits.cost) if limits.cost is not None else None,
        time_ms=milliseconds(limits.time) if limits.time is not None else None,
    )


def _sections(project: Project) -> dict[str, Any]:
    written: dict[str, Any] = msgspec.to_builtins(project)
    return {name: written[name] for name in SECTIONS if written.get(name) and name not in _COMPILED}
