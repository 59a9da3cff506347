"""References between sections: agents, tools, models, credentials, profiles, nodes (requirement W2)."""

from typing import Any, get_args

from clew.manifest.compiled import ProfileName
from clew.manifest.context import Context
from clew.manifest.gateway_check import check_credential, check_gateway, check_model
from clew.manifest.kinds import fields_of
from clew.manifest.memory_check import BUILT_IN_CONTEXTS, check_memory
from clew.manifest.models.agents import Agent, McpServer, Tool
from clew.manifest.pins import names_of, tool_ids
from clew.manifest.problems import Path, shown

_OF_POOLS = ("id", "description", "pool")


def check_references(context: Context) -> None:
    """Reports every name that leads nowhere and every id given twice, outside the graph."""
    project = context.project
    context.unique(("agents",), (agent.id for agent in project.agents), "agent")
    context.unique(("tools",), (tool.id for tool in project.tools), "tool")
    context.unique(("providers",), (provider.id for provider in project.providers), "provider")
    context.unique(("provider_credentials",), (item.id for item in project.provider_credentials), "credential")
    context.unique(("plugins",), (plugin.id for plugin in project.plugins), "plugin")
    context.unique(("cli_profiles",), (profile.id for profile in project.cli_profiles), "profile")
    _nodes(context)
    _agents(context)
    _tools(context)
    check_gateway(context)
    check_memory(context)
    _policy(context)
    _evaluations(context)
    _others(context)


def _each(context: Context, path: Path, names: list[str] | None, known: list[str], what: str) -> None:
    for index, name in enumerate(names or ()):
        context.refer((*path, index), name, known, what)


def _tool_names(context: Context, path: Path, names: list[str] | None) -> None:
    if context.knows("tools"):
        _each(context, path, names, tool_ids(context.project.tools), "a tool of the tools section")


def _nodes(context: Context) -> None:
    agents = [agent.id for agent in context.project.agents]
    profiles = _profiles(context)
    for index, node in enumerate(context.project.workflow.nodes):
        path: Path = ("workflow", "nodes", index)
        if context.knows("agents"):
            context.refer((*path, "agent"), node.agent, agents, "an agent of the agents section")
        _tool_names(context, (*path, "tools"), node.tools)
        if profiles is not None:
            what = "a context profile of the memory section"
            context.refer((*path, "context"), node.context, [*BUILT_IN_CONTEXTS, *profiles], what)


def _profiles(context: Context) -> list[str] | None:
    """Ids of the context profiles; ``None`` when they are not known."""
    memory = context.project.memory
    if not context.knows("memory") or not context.sound(("memory", "context_profiles")):
        return None
    return [profile.id for profile in (memory.context_profiles or [] if memory is not None else [])]


def _agents(context: Context) -> None:
    for index, agent in enumerate(context.project.agents):
        path: Path = ("agents", index)
        check_model(context, (*path, "model"), agent.model)
        for position, fallback in enumerate(agent.fallbacks or ()):
            check_model(context, (*path, "fallbacks", position), fallback)
        _tool_names(context, (*path, "tools"), agent.tools)
        if context.sound(path, (*path, "model"), (*path, "pool")):
            _pool(context, path, agent)


def _pool(context: Context, path: Path, agent: Agent) -> None:
    """A pool names agents and has nothing of its own besides; every other agent has a model."""
    if agent.pool is None:
        if agent.model is None:
            context.report(path, "missing_key", 'the key "model" is missing (or "pool", for a choice of agents)')
        return
    for field in fields_of(Agent):
        if field not in _OF_POOLS and (*path, field) in context.shape.marks:
            why = f"{shown(agent.id)} is a pool: this is said by the agents it chooses from"
            context.misplaced((*path, field), why)
    if not context.knows("agents"):
        return
    agents = [other.id for other in context.project.agents if other.pool is None]
    pools = {other.id for other in context.project.agents if other.pool is not None}
    for index, name in enumerate(agent.pool):
        where = (*path, "pool", index)
        if name in agent.pool[:index]:
            context.report(where, "duplicate_id", f"the agent {shown(name)} is given twice in this pool")
        elif name in pools:
            context.report(where, "reference", f"{shown(name)} is a pool itself; name agents that have a model")
        else:
            context.refer(where, name, agents, "an agent of the agents section that has a model")


def tool_type(tool: Tool) -> str:
    """The type of a tool, also where it is not written."""
    if tool.type is not None:
        return tool.type
    if tool.server is not None:
        return "mcp"
    return "handler" if tool.handler is not None else "builtin"


def _tools(context: Context) -> None:
    for index, tool in enumerate(context.project.tools):
        path: Path = ("tools", index)
        if not context.sound(path, (*path, "type"), (*path, "handler"), (*path, "server")):
            continue
        kind = tool_type(tool)
        needed = {"handler": tool.handler, "mcp": tool.server}
        field = "server" if kind == "mcp" else "handler"
        if kind in needed and needed[kind] is None:
            context.report(path, "missing_key", f"the key {shown(field)} is missing: the tool is of type {kind}")
        if tool.handler is not None and kind != "handler":
            context.misplaced((*path, "handler"), f"only a tool of type handler may have it; this one is {kind}")
        if tool.server is not None and kind != "mcp":
            context.misplaced((*path, "server"), f"only a tool of type mcp may have it; this one is {kind}")
        if tool.type is None and kind == "builtin":
            message = "the type is missing: write type: builtin, or a handler"
            context.report(path, "missing_key", message)
        if tool.server is not None and kind == "mcp":
            _server(context, (*path, "server"), tool.server)
        _mcp(context, path, tool, kind)
        if kind == "builtin" and isinstance(profile := (tool.config or {}).get("profile"), str):
            context.refer((*path, "config", "profile"), profile, get_args(ProfileName), "limits of a sandbox")
        root = tool.permissions.root if tool.permissions is not None else None
        where = (*path, "permissions", "root")
        if root is not None and context.sound(where) and not _confined(context, root):
            context.report(where, "outside", f"{shown(root)} leads out of the project directory")


def _server(context: Context, path: Path, server: McpServer) -> None:
    if (server.command is None) == (server.url is None):
        found = "neither" if server.url is None else "both"
        context.report(path, "value", f'found {found}, expected either "command" or "url"')
        return
    check_credential(context, (*path, "credential"), server.credential)
    if server.url is not None:
        if not server.url.startswith(("https://", "http://")):
            context.report((*path, "url"), "value", f"found {shown(server.url)}, expected https:// or http://")
        for field in ("env", "credential_env"):
            if getattr(server, field) is not None:
                context.misplaced((*path, field), "only a server that is a command may have it")
    elif (server.credential is None) != (server.credential_env is None):
        given, missing = ("credential", "credential_env") if server.credential else ("credential_env", "credential")
        context.report(
            path, "missing_key", f"the key {shown(missing)} is missing: a command has it with {shown(given)}"
        )


def _mcp(context: Context, path: Path, tool: Tool, kind: str) -> None:
    for field in ("name", "tools"):
        if getattr(tool, field) is not None and kind != "mcp":
            context.misplaced((*path, field), f"only a tool of type mcp may have it; this one is {kind}")
    if tool.tools is None or kind != "mcp":
        return
    for field in ("name", "description", "inputs", "outputs"):
        if getattr(tool, field) is not None:
            context.misplaced((*path, field), "it is for one tool, and this entry has several")
    others = tool_ids([other for other in context.project.tools if other is not tool])
    for index, (name, named, below) in enumerate(names_of(tool)):
        if name in others or named in tool.tools[:index]:
            context.report((*path, *below), "duplicate_id", f"the tool {shown(name)} is given twice")


def _confined(context: Context, relative: str) -> bool:
    try:
        return context.sources.inside(relative) is not None
    except (OSError, ValueError, RuntimeError):
        return False


def _policy(context: Context) -> None:
    project = context.project
    if project.policy is None:
        return
    known: dict[str, tuple[str, list[str]]] = {
        "tool": ("tools", tool_ids(project.tools)),
        "node": ("workflow", [node.id for node in project.workflow.nodes]),
        "context": ("memory", [*BUILT_IN_CONTEXTS, *(_profiles(context) or ())]),
    }
    for index, rule in enumerate(project.policy.rules or ()):
        path: Path = ("policy", "rules", index)
        where = (*path, "target_id")
        if rule.target_id == "*" or not context.sound(path, (*path, "target"), where):
            continue
        if rule.target == "model":
            check_model(context, where, rule.target_id)
        elif context.knows(known[rule.target][0]):
            context.refer(where, rule.target_id, known[rule.target][1], f"a {rule.target}")


def _evaluations(context: Context) -> None:
    evaluations = context.project.evaluations
    if evaluations is None:
        return
    suites = [suite.id for suite in evaluations.suites or ()]
    starts = [node.id for node in context.project.workflow.nodes if node.role == "start"]
    context.unique(("evaluations", "suites"), suites, "suite")
    for index, suite in enumerate(evaluations.suites or ()):
        path: Path = ("evaluations", "suites", index, "cases")
        context.unique(path, (case.id for case in suite.cases or ()), "case")
        for position, case in enumerate(suite.cases or ()):
            if context.knows("workflow"):
                context.refer((*path, position, "start"), case.start, starts, "a start of the workflow")
    for index, scenario in enumerate(evaluations.gym or ()):
        path = ("evaluations", "gym", index)
        if context.sound(("evaluations", "suites")):
            context.refer((*path, "suite"), scenario.suite, suites, "a suite")
        if context.knows("agents"):
            agents = [agent.id for agent in context.project.agents]
            _each(context, (*path, "profiles"), scenario.profiles, agents, "an agent")


def _others(context: Context) -> None:
    project = context.project
    for index, profile in enumerate(project.cli_profiles):
        if profile.overrides is not None:
            check_model(context, ("cli_profiles", index, "overrides", "model"), profile.overrides.model)
    nodes: list[Any] = [node.id for node in project.workflow.nodes]
    for index, rule in enumerate((project.artifacts.rules or ()) if project.artifacts is not None else ()):
        if context.knows("workflow"):
            context.refer(("artifacts", "rules", index, "node"), rule.node, nodes, "a node id")
    for index, member in enumerate(project.crew.agents if project.crew is not None else ()):
        path: Path = ("crew", "agents", index)
        if context.knows("agents"):
            agents = [agent.id for agent in project.agents]
            context.refer((*path, "profile"), member.profile, agents, "an agent of the agents section")
        _tool_names(context, (*path, "tools"), member.tools)
