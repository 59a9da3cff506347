"""A run's facts as spans: run, task, node attempt, effect (I5).

Ids are derived from run ids and keys, so that whoever folds the same facts gets the same spans: a resumed run continues its
trace, a child run is part of its parent's, and what is exported twice can be told from its ids. Names and attributes are those
of OpenTelemetry's gen_ai conventions; what they have no name for begins with ``clew.``. Of payloads only error codes are read.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec

from clew.core import events as ev
from clew.core.events import Event
from clew.core.identity import body_key

Value = str | int

USAGE = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
}
"""Field of ``Usage`` -> attribute."""

COMPATIBLE = "openai_compatible"
"""Type of a provider of which only the protocol is known: it goes by its id, as one does of which nothing is known."""

PROVIDERS = {"azure": "azure.ai.openai", "gemini": "gcp.gemini"}
"""Type of a provider -> its gen_ai name, where they differ."""

UNSEEN = frozenset({"clock"})
"""Kinds of effects that do nothing: a time that was read."""

COPIED = "forked"
"""The note that ends what a fork copied from its parent: spans of that are the parent's (``runtime.record.FORKED``)."""

_LARGEST = 2**63 - 1
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SEAT = re.compile(r"(.+)[/.](?:t\d+(?:\.c\d+)?|select)")
"""Key of an effect of an agent's loop -> that of the loop: of the body, or of a call in it."""


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """``start``, ``end``: ms since the epoch. ``parent`` 0: a root. One with the attribute ``error.type`` failed.

    ``link``: trace and span of another run that this one came from.
    """

    trace: int
    id: int
    parent: int
    name: str
    start: int
    end: int
    attributes: dict[str, Value]
    client: bool = False
    link: tuple[int, int] | None = None


def trace_id(run: str) -> int:
    """128 bits, never 0. A child run (``<run>.<digest>``) is part of the trace of the run at the top."""
    return _bits("trace", run.partition(".")[0], size=16)


def span_id(run: str, kind: str, key: str = "") -> int:
    """64 bits, never 0. ``kind``: run, task, node, agent or effect."""
    return _bits("span", run, kind, key, size=8)


def _bits(*parts: str, size: int) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:size]) or 1


class _Agent(msgspec.Struct):
    """An agent's loop, from its first effect to the last so far."""

    name: str
    first: int
    last: int


class _Body(msgspec.Struct):
    """A node attempt that has not ended. ``agents``: loops in it, by key; the body's own key where it is an agent's."""

    started: int
    agents: dict[str, _Agent] = {}


class RunSpans:
    """Spans of one run, that began ``at``. ``providers``: id of a declared provider -> its type."""

    def __init__(self, origin: ev.RunStarted, at: int, providers: Mapping[str, str]) -> None:
        self.origin = origin
        self._began = at
        self._providers = providers
        self._copying = origin.fork_of is not None
        self._tasks: dict[str, tuple[int, int]] = {}
        self._attempts: dict[tuple[str, str], int] = {}
        self._bodies: dict[str, _Body] = {}
        self._waits: dict[str, tuple[ev.EffectStarted, int]] = {}

    def add(self, event: Event) -> list[Span]:
        """Fold one fact; the spans that it ends, children before parents."""
        spans = list(self._ended(event))
        return [] if self._copying else spans

    def _ended(self, event: Event) -> Iterable[Span]:
        match event.fact:
            case ev.NodeStarted() as fact:
                self._attempts[fact.task, fact.node] = fact.attempt
                self._bodies.setdefault(body_key(fact.task, fact.node, fact.attempt), _Body(event.at))
                self._seen(fact.task, event.at)
            case ev.EffectStarted(wait=True) as fact:
                self._waits[fact.key] = fact, event.at
            case ev.EffectFinished() as fact:
                if fact.kind not in UNSEEN:
                    yield self._effect(fact, event)
                self._seen(fact.task, event.at)
            case ev.NodeCompleted() | ev.NodeFailed() | ev.NodeStopped() as fact:
                self._seen(fact.task, event.at)
                yield from self._node(fact, event.at)
            case ev.RunFinished() as fact:
                yield from self._rest(event.at)
                yield self._run(fact, event)
            case ev.Noted(name=name) if name == COPIED:
                self._copying = False
                self._tasks.clear()
            case _:
                pass

    def _seen(self, task: str, at: int) -> None:
        first, _ = self._tasks.get(task, (at, at))
        self._tasks[task] = first, at

    # -- effects -----------------------------------------------------------------------------------------------

    def _effect(self, fact: ev.EffectFinished, event: Event) -> Span:
        _, opened = self._waits.pop(fact.key, (None, event.at - fact.ms))
        if self._between(fact):
            _, opened = self._tasks[fact.task]
        attributes: dict[str, Value] = {"clew.tries": fact.tries}
        name = f"{fact.kind} {fact.name}".strip()
        if fact.kind == "model":
            name = f"chat {fact.name}"
            attributes |= self._asked(fact)
        elif fact.kind == "tool":
            name = f"execute_tool {fact.name}"
            attributes |= {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": fact.name}
        if fact.agent:
            attributes["gen_ai.agent.name"] = fact.agent
        if fact.cost:
            attributes["clew.cost"] = fact.cost
        if fact.status != "ok":
            attributes["error.type"] = _code(event, fact.status)
        return self._of_body(fact, name, (opened, event.at), attributes)

    def _between(self, fact: ev.EffectFinished | ev.EffectStarted) -> bool:
        """The wait before another attempt: no fact opens it but the end of the one before."""
        return fact.key == f"{self._body_of(fact)}/backoff" and fact.task in self._tasks

    def _asked(self, fact: ev.EffectFinished) -> dict[str, Value]:
        attributes: dict[str, Value] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": fact.name}
        provider, _, model = fact.by.partition("/")
        if provider:
            declared = self._providers.get(provider, COMPATIBLE)
            own = provider if declared == COMPATIBLE else declared
            attributes |= {"gen_ai.provider.name": PROVIDERS.get(own, own), "gen_ai.response.model": model}
        used = fact.usage or {}
        return attributes | {USAGE[field]: max(0, min(used[field], _LARGEST)) for field in USAGE if field in used}

    def _seat(self, fact: ev.EffectFinished, body: str, time: tuple[int, int]) -> str:
        """Key of the agent's loop that the effect belongs to, if any; it is of the agent that asks a model in it."""
        found = _SEAT.fullmatch(fact.key) if fact.agent else None
        if found is None or body not in self._bodies:
            return ""
        agents = self._bodies[body].agents
        agent = agents.setdefault(found[1], _Agent(fact.agent, *time))
        agent.last = time[1]
        if fact.kind == "model":
            agent.name = fact.agent
        return found[1]

    def _body_of(self, fact: ev.EffectFinished | ev.EffectStarted) -> str:
        """Key of the attempt that asked; where the effect's key does not tell (done once for all attempts) the latest, or ""."""
        start = f"{fact.task}/{fact.node}#"
        attempt = fact.key.removeprefix(start).partition("/")[0] if fact.key.startswith(start) else ""
        if not attempt.isdecimal():
            attempt = str(self._attempts.get((fact.task, fact.node), ""))
        return start + attempt if attempt else ""

    def _of_body(
        self,
        fact: ev.EffectFinished | ev.EffectStarted,
        name: str,
        time: tuple[int, int],
        attributes: dict[str, Value],
    ) -> Span:
        body = self._body_of(fact)
        place: dict[str, Value] = {"clew.task": fact.task, "clew.node": fact.node, "clew.effect": fact.key}
        if body:
            place["clew.attempt"] = int(body.rpartition("#")[2])
        seat = self._seat(fact, body, time) if isinstance(fact, ev.EffectFinished) else ""
        parent = ("node", body) if body and not self._between(fact) else ("task", fact.task)
        if seat not in ("", body):
            parent = ("agent", seat)
        span = self._span(("effect", fact.key), name, time, place | attributes, parent)
        return msgspec.structs.replace(span, client=fact.kind == "model")

    # -- nodes, tasks, the run ---------------------------------------------------------------------------------

    def _node(self, fact: ev.NodeCompleted | ev.NodeFailed | ev.NodeStopped, end: int) -> Iterable[Span]:
        key = body_key(fact.task, fact.node, fact.attempt)
        yield from self._abandoned(end, f"{key}/")
        body = self._bodies.pop(key, None) or _Body(end)
        attributes: dict[str, Value] = {"clew.task": fact.task, "clew.node": fact.node, "clew.attempt": fact.attempt}
        name = f"node {fact.node}"
        for seat, agent in body.agents.items():
            if seat == key:
                name, attributes = f"invoke_agent {agent.name}", attributes | _invoked(agent)
                continue
            time = agent.first, agent.last
            yield self._span(
                ("agent", seat), f"invoke_agent {agent.name}", time, attributes | _invoked(agent), ("node", key)
            )
        if isinstance(fact, ev.NodeStopped):
            attributes["clew.state"] = "cancelled"
        elif isinstance(fact, ev.NodeFailed):
            attributes["error.type"] = _class(fact.code, "failed")
        yield self._span(("node", key), name, (body.started, end), attributes, ("task", fact.task))

    def _abandoned(self, end: int, within: str = "") -> Iterable[Span]:
        """Waits that nobody waits for any more: no fact ends them but the end of what opened them."""
        for key in [key for key in self._waits if key.startswith(within)]:
            fact, opened = self._waits.pop(key)
            name = f"{fact.kind} {fact.name}".strip()
            yield self._of_body(fact, name, (opened, end), {"clew.state": "cancelled"})

    def _rest(self, end: int) -> Iterable[Span]:
        """What ends with the run: bodies that wait, and tasks, since no fact says that a node was the last of one."""
        for key in list(self._bodies):
            task, _, body = key.partition("/")
            node, _, attempt = body.rpartition("#")
            self._seen(task, end)
            yield from self._node(ev.NodeStopped(task=task, node=node, attempt=int(attempt)), end)
        yield from self._abandoned(end)
        for task, time in self._tasks.items():
            yield self._span(("task", task), f"task {task}", time, {"clew.task": task}, ("run", ""))

    def _run(self, fact: ev.RunFinished, event: Event) -> Span:
        origin = self.origin
        attributes: dict[str, Value] = {
            "gen_ai.operation.name": "invoke_workflow",
            "gen_ai.workflow.name": origin.workflow,
            "clew.mode": origin.mode,
            "clew.state": fact.state,
        }
        if fact.status:
            attributes["clew.status"] = fact.status
        if fact.state == "failed":
            attributes["error.type"] = _code(event, "failed")
        span = self._span(("run", ""), f"invoke_workflow {origin.workflow}", (self._began, event.at), attributes, None)
        parent, _, key = origin.parent.partition(":")
        link = (trace_id(origin.fork_of.run), span_id(origin.fork_of.run, "run")) if origin.fork_of else None
        return msgspec.structs.replace(span, parent=span_id(parent, "effect", key) if parent else 0, link=link)

    def _span(
        self,
        ident: tuple[str, str],
        name: str,
        time: tuple[int, int],
        attributes: dict[str, Value],
        parent: tuple[str, str] | None,
    ) -> Span:
        """Nothing begins before its run (what a fork copied did), or ends before it began (the clock was set back)."""
        run = self.origin.run
        start = max(time[0], self._began)
        return Span(
            trace=trace_id(run),
            id=span_id(run, *ident),
            parent=span_id(run, *parent) if parent else 0,
            name=name,
            start=start,
            end=max(start, time[1]),
            attributes={"clew.run": run, **attributes},
        )


def _invoked(agent: _Agent) -> dict[str, Value]:
    return {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": agent.name}


def _code(event: Event, otherwise: str) -> str:
    """The code of the error in a payload, which may have been erased."""
    return _class(_mapping(_mapping(event.payload).get("error")).get("code"), otherwise)


def _mapping(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _class(code: Any, otherwise: str) -> str:
    """Codes are identifiers; what is none might be content."""
    return code if isinstance(code, str) and _CODE.fullmatch(code) else otherwise
