"""What the memory section may say (requirements C7, C9): stores that there are, paths below the state directory, bounds."""

from pathlib import PurePosixPath

from clew.manifest.context import Context
from clew.manifest.gateway_check import check_credential, check_embedding
from clew.manifest.models.agents import Store
from clew.manifest.models.base import Retention
from clew.manifest.problems import Path, shown
from clew.manifest.quantities import milliseconds, size_bytes

BUILT_IN_CONTEXTS = ("none", "global")
_BACKENDS = ("file", "sqlite")
"""Those that this version has."""
_STORES = ("global_store", "project_store", "session_store", "task_store")
_LONGEST = 255
"""Bytes of a part of a path, as file systems have them."""


def check_memory(context: Context) -> None:
    """Reports what would fail in a run, or do nothing."""
    memory = context.project.memory
    if memory is None or not context.sound(("memory",)):
        return
    context.unique(("memory", "context_profiles"), (p.id for p in memory.context_profiles or ()), "context profile")
    for index, profile in enumerate(memory.context_profiles or ()):
        if profile.id in BUILT_IN_CONTEXTS:
            where = ("memory", "context_profiles", index, "id")
            context.report(where, "reserved", f"{shown(profile.id)} has a fixed meaning; choose another name")
    for name in _STORES:
        store = getattr(memory, name)
        if store is not None:
            _store(context, ("memory", name), store)
    if memory.embedding is not None:
        check_embedding(context, ("memory", "embedding"), memory.embedding)
    if memory.extraction is not None:
        _agent(context, ("memory", "extraction", "agent"), memory.extraction.agent)
    if memory.merge is not None:
        _agent(context, ("memory", "merge", "agent"), memory.merge.agent)
    if memory.conversation is not None and memory.conversation.agent is not None:
        _agent(context, ("memory", "conversation", "agent"), memory.conversation.agent)


def _agent(context: Context, path: Path, name: str) -> None:
    """Reports what is no agent with a model."""
    if not context.knows("agents") or not context.sound(path):
        return
    pools = {agent.id for agent in context.project.agents if agent.pool is not None}
    if name in pools:
        context.report(path, "reference", f"{shown(name)} is a pool; name an agent that has a model")
    else:
        agents = [agent.id for agent in context.project.agents if agent.id not in pools]
        context.refer(path, name, agents, "an agent of the agents section that has a model")


def _store(context: Context, path: Path, store: Store) -> None:
    check_credential(context, (*path, "credential"), store.credential)
    where = (*path, "backend")
    if context.sound(where) and store.backend not in _BACKENDS:
        context.report(where, "value", f"{shown(store.backend)} is not available yet, expected sqlite or file")
    elif context.sound(where) and store.credential is not None:
        context.misplaced((*path, "credential"), "only a store on a server may have it")
    where = (*path, "path")
    if store.path is not None and context.sound(where) and not _below(store.path):
        expected = "expected a folder below the state directory, such as context"
        context.report(where, "outside", f"found {shown(store.path)}, {expected}")
    if store.retention is not None and context.sound((*path, "retention")):
        _retention(context, (*path, "retention"), store.retention)


def _below(path: str) -> bool:
    given = PurePosixPath(path)
    parts_fit = all(part != ".." and len(part.encode(errors="replace")) <= _LONGEST for part in given.parts)
    return parts_fit and bool(given.parts) and not given.is_absolute() and path.isprintable() and "\\" not in path


def _retention(context: Context, path: Path, kept: Retention) -> None:
    where = (*path, "max_age")
    if kept.max_age is not None and context.sound(where) and milliseconds(kept.max_age) <= 0:
        context.report(where, "bounds", f"found {shown(kept.max_age)}, expected a duration of more than nothing")
    where = (*path, "max_size")
    if kept.max_size is not None and context.sound(where) and size_bytes(kept.max_size) <= 0:
        context.report(where, "bounds", f"found {shown(kept.max_size)}, expected a size of more than nothing")
