"""Everything that is wrong in a project, at once: files, shape, references, graph, scopes, handlers, schemas."""

from pathlib import Path as FilePath
from typing import Any

import msgspec

from clew.manifest.build import graph_of
from clew.manifest.context import Context
from clew.manifest.graph_check import check_graph
from clew.manifest.handlers import Handlers
from clew.manifest.kinds import fields_of, placeholder
from clew.manifest.models.project import SECTIONS, Project
from clew.manifest.node_check import check_nodes, positive
from clew.manifest.pins import Pin, check_pins
from clew.manifest.problems import Mark, Path, Problems
from clew.manifest.references import check_references
from clew.manifest.schemas import Schemas
from clew.manifest.scope_check import check_joins, check_scopes
from clew.manifest.shape import Shape
from clew.manifest.sources import UNREADABLE, Found, Sources
from clew.manifest.texts import load_texts


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A project after all checks; ``problems`` tells whether it can be compiled."""

    project: Project
    problems: Problems
    texts: dict[Path, str]
    schemas: dict[str, Any]
    handlers: dict[str, str]
    files: dict[str, str]
    pins: dict[str, Pin] = {}


def examine(path: str | FilePath) -> Checked:
    """Reads and checks the project in directory ``path`` (or around the manifest ``path``); never raises for bad input."""
    problems = Problems()
    root = FilePath(path)
    try:
        is_manifest = root.is_file()
    except (OSError, ValueError):
        is_manifest = False
    if is_manifest and root.stem in ("clew", *SECTIONS) and root.suffix in (".yaml", ".yml", ".json"):
        root = root.parent
    sources = Sources(root, problems)
    found = sources.sections()
    shape = Shape(problems)
    if found is None:
        nothing = _project({}, shape)
        return Checked(project=nothing, problems=problems, texts={}, schemas={}, handlers={}, files={})
    if "workflow" not in found and not problems.errors:
        _no_workflow(sources, problems)
    project = _project(found, shape)
    context = Context(
        project=project,
        shape=shape,
        sources=sources,
        problems=problems,
        unreadable=frozenset(name for name, given in found.items() if given.located is UNREADABLE),
    )
    handlers, schemas = Handlers(context), Schemas(context)
    schemas.load()
    texts = load_texts(context)
    if "workflow" in found:
        _workflow(context)
    check_references(context)
    _times(context)
    _bodies(context, handlers, schemas)
    pins = check_pins(context)
    return Checked(
        project=project,
        problems=problems,
        texts=texts,
        schemas=schemas.contents,
        handlers=dict(sorted(handlers.digests.items())),
        files=dict(sorted(sources.digests.items())),
        pins=pins,
    )


def _no_workflow(sources: Sources, problems: Problems) -> None:
    whole = next((name for name in sources.digests if name.startswith("clew.")), None)
    place = Mark(whole, 1, 1) if whole is not None else Mark(str(sources.root))
    message = "the project has no workflow: give it a workflow.yaml, or a clew.yaml with the key workflow"
    problems.add(place, (), "no_workflow", message)


def _project(found: dict[str, Found], shape: Shape) -> Project:
    sections: dict[str, Any] = {}
    for name, field in fields_of(Project).items():
        given = found.get(name)
        if given is not None and given.located is not UNREADABLE:
            sections[name] = shape.section(given.located, field.kind, name)
        elif given is not None or name == "workflow":
            shape.damage((name,))
            sections[name] = placeholder(field.kind)
    return Project(**sections)


def _workflow(context: Context) -> None:
    check_nodes(context)
    check_joins(context)
    if check_graph(context):
        check_scopes(context, graph_of(context.project))


def _times(context: Context) -> None:
    for index, tool in enumerate(context.project.tools):
        positive(context, ("tools", index, "timeout"), tool.timeout)
    for index, agent in enumerate(context.project.agents):
        if agent.limits is not None:
            positive(context, ("agents", index, "limits", "time"), agent.limits.time)
    for index, provider in enumerate(context.project.providers):
        positive(context, ("providers", index, "timeout"), provider.timeout)


def _bodies(context: Context, handlers: Handlers, schemas: Schemas) -> None:
    project = context.project
    for index, node in enumerate(project.workflow.nodes):
        path: Path = ("workflow", "nodes", index)
        handlers.check((*path, "handler"), node.handler, "input, ctx")
        for side, wanted in (("schema_in", node.schema_in), ("schema_out", node.schema_out)):
            schemas.use((*path, side), wanted, f"#nodes.{node.id}.{side}")
    for index, agent in enumerate(project.agents):
        path = ("agents", index)
        for side, wanted in (("schema_in", agent.schema_in), ("schema_out", agent.schema_out)):
            schemas.use((*path, side), wanted, f"#agents.{agent.id}.{side}")
    for index, tool in enumerate(project.tools):
        path = ("tools", index)
        handlers.check((*path, "handler"), tool.handler, "arguments, ctx")
        for side, wanted in (("inputs", tool.inputs), ("outputs", tool.outputs)):
            schemas.use((*path, side), wanted, f"#tools.{tool.id}.{side}")
    for index, plugin in enumerate(project.plugins):
        handlers.check(("plugins", index, "handler"), plugin.handler, "event, config")
    suites = project.evaluations.suites or () if project.evaluations is not None else ()
    for index, suite in enumerate(suites):
        for position, case in enumerate(suite.cases or ()):
            for number, check in enumerate(case.expect):
                path = ("evaluations", "suites", index, "cases", position, "expect", number, "handler")
                handlers.check(path, check.handler, "result, case")
