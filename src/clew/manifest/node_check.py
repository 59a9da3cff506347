"""What a node may say, by its role and kind (requirement W3, W7, W9)."""

from clew.manifest.context import Context
from clew.manifest.models.workflow import NodeModel
from clew.manifest.problems import Path, shown
from clew.manifest.quantities import milliseconds

_OWN_FIELDS = {
    "default": ("start",),
    "wait": ("branch",),
    "over": ("split",),
    "max_parallel": ("split",),
    "joins": ("merge",),
    "on_failure": ("merge",),
    "always_fail": ("exit",),
    "continue_on_failure": ("linear", "merge"),
}
"""Field -> the roles that may have it."""

_HANDLER_FIELDS = ("effects", "isolation")


def check_nodes(context: Context) -> None:
    """Reports every node whose fields do not go with its role or kind."""
    nodes = context.project.workflow.nodes
    context.unique(("workflow", "nodes"), (node.id for node in nodes), "node")
    for index, node in enumerate(nodes):
        path: Path = ("workflow", "nodes", index)
        if not context.sound(path):
            continue
        if context.sound((*path, "role")):
            _check_role(context, node, path)
        if context.sound((*path, "kind")):
            _check_kind(context, node, path)
        _check_times(context, node, path)


def _given(context: Context, path: Path) -> bool:
    """The key was written, and not as false or null."""
    return path in context.shape.marks


def _check_role(context: Context, node: NodeModel, path: Path) -> None:
    for name, roles in _OWN_FIELDS.items():
        if node.role in roles or not _given(context, (*path, name)) or getattr(node, name) is False:
            continue
        owners = " or ".join(f"{role} node" for role in roles)
        article = "an" if owners.startswith("exit") else "a"
        context.misplaced(
            (*path, name), f"only {article} {owners} may have it; {shown(node.id)} is of role {node.role}"
        )
    if node.role == "exit":
        if node.tools:
            context.misplaced((*path, "tools"), "an exit may use no tools; it is read-only")
        if node.effects == "external":
            context.misplaced((*path, "effects"), "an exit is read-only; it may have no external effects")
    if node.role in ("start", "exit") and node.kind == "agent" and context.sound((*path, "kind")):
        message = f'found "agent", expected "deterministic": {node.role} nodes run no agent'
        context.report((*path, "kind"), "kind", message)


def _check_kind(context: Context, node: NodeModel, path: Path) -> None:
    if node.kind == "agent":
        if node.role in ("start", "exit") and context.sound((*path, "role")):
            return  # the kind itself was reported
        if node.agent is None and context.sound((*path, "agent")):
            message = f'the key "agent" is missing: {shown(node.id)} is of kind agent'
            context.report(path, "missing_key", message)
        if node.handler is not None:
            context.misplaced((*path, "handler"), "only a deterministic node may have a handler")
        return
    if node.agent is not None:
        context.misplaced((*path, "agent"), "only a node of kind agent may have an agent")
    if node.instructions is not None:
        context.misplaced((*path, "instructions"), "only a node of kind agent may have instructions")
    for name in _HANDLER_FIELDS:
        if _given(context, (*path, name)) and node.handler is None and context.sound((*path, "handler")):
            context.misplaced((*path, name), "only a node with a handler may have it")


def _check_times(context: Context, node: NodeModel, path: Path) -> None:
    positive(context, (*path, "timeout"), node.timeout)
    if node.approval is not None and not isinstance(node.approval, bool):
        positive(context, (*path, "approval", "timeout"), node.approval.timeout)
    backoff = node.retry.backoff if node.retry is not None else None
    where = (*path, "retry", "backoff")
    if backoff is None or not context.sound(where, (*where, "initial"), (*where, "max")):
        return
    if milliseconds(backoff.max) < milliseconds(backoff.initial):
        message = f"the longest pause ({backoff.max}) is shorter than the first ({backoff.initial})"
        context.report((*where, "max") if _given(context, (*where, "max")) else where, "bounds", message)


def positive(context: Context, path: Path, duration: str | None) -> None:
    """Reports a duration of nothing."""
    if duration is not None and context.sound(path) and milliseconds(duration) <= 0:
        context.report(path, "bounds", f"found {shown(duration)}, expected a duration of more than nothing")
