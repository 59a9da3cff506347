"""``ctx``: what a handler is given. Its only way to the world, and its only clock, chance and memory.

Keys of effects are structural: each *part* of a body counts its own effects. Two effects of one part may not overlap, because
then counting would depend on speed: ``ctx.gather`` and ``ctx.part`` give concurrent work its own counter.
"""

import contextlib
import contextvars
import inspect
import random
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from functools import cached_property, partial
from typing import Any, Protocol

from clew.agents import loop
from clew.agents.prompt import messages_of
from clew.core.errors import Failure, UsageError
from clew.core.identity import body_key, digest
from clew.gate.door import Local
from clew.gate.effect import Effect, Need, OnInDoubt, Outcome
from clew.manifest.quantities import milliseconds
from clew.runtime import memory
from clew.runtime.settling import Work, all_settled

Look = Callable[[str, dict[str, Any]], Awaitable[Any]]
"""``look(tool, arguments)``: performs a tool that changes nothing."""


class BodyView(Protocol):
    """What ``ctx`` needs of the body it belongs to."""

    run: str
    task: str
    node: str
    attempt: int
    seed: int
    on_in_doubt: OnInDoubt
    context: Any

    @property
    def searching(self) -> dict[str, Any]:
        """What a search is told where nobody says otherwise."""
        ...

    def admit(self) -> None:
        """Raises Stopped when the body's gate is shut."""
        ...

    async def perform(self, effect: Effect, local: Local | None = None) -> Outcome: ...

    def tool(self, name: str) -> tuple[bool, OnInDoubt, tuple[Need, ...]]:
        """``repeat_safe``, ``on_in_doubt`` and needs of a tool. Raises Failure for a tool the node may not use."""
        ...

    async def agent(self, name: str, value: Any, key: str) -> Any:
        """The output of a declared agent's loop, whose effects have keys that begin with ``key``."""
        ...

    async def converse(self, job: loop.Job, look: Look, key: str) -> tuple[Any, list[dict[str, Any]]]:
        """The output of an agent that no manifest declares, and all that was said; keys as for ``agent``."""
        ...

    async def merge(self, request: dict[str, Any], agent: str | None, key: str) -> dict[str, Any]:
        """A document merged into memory, by effects whose keys begin with ``key``."""
        ...

    def observe(self, effect: Effect, value: Any) -> Any:
        """The recorded value under the key, else ``value``, recorded with the next durable event."""
        ...

    def now(self) -> int: ...

    def in_thread(self, call: Callable[[], Any]) -> Awaitable[Any]:
        """Run blocking code in a thread that nobody else needs."""
        ...

    def log(self, message: str, fields: dict[str, Any]) -> None: ...


class _Part:
    """One strand of a body, with its own counter."""

    __slots__ = ("body", "busy", "count", "groups", "prefix")

    def __init__(self, body: BodyView, prefix: str) -> None:
        self.body = body
        self.prefix = prefix
        self.count = 0
        self.groups = 0
        self.busy = ""


_current: contextvars.ContextVar[_Part | None] = contextvars.ContextVar("clew_part", default=None)


class Ctx:
    """The context of one body. Methods are awaited; a synchronous handler is given the same names, blocking."""

    def __init__(self, body: BodyView, part: _Part | None = None) -> None:
        self._body = body
        self._key = body_key(body.task, body.node, body.attempt)
        self._part = part or _Part(body, "")
        self._parts: set[str] = set()
        self.run_id = body.run
        self.task_id = body.task
        self.node_id = body.node
        self.attempt = body.attempt

    @cached_property
    def random(self) -> random.Random:
        """A ``random.Random`` seeded from the run's seed and this body's key: the same on every entry."""
        return random.Random(digest([self._body.seed, self._key, self._part.prefix]))  # noqa: S311 - derived, not secret

    # -- effects -----------------------------------------------------------------------------------------------

    async def call(self, tool: str, args: dict[str, Any] | None = None) -> Any:
        """Call a tool that the node may use. Raises Failure with the tool's code."""
        repeat_safe, on_in_doubt, needs = self._body.tool(tool)
        outcome = await self._perform(
            "tool", tool, args or {}, repeat_safe=repeat_safe, on_in_doubt=on_in_doubt, needs=needs
        )
        return outcome.value()

    async def model(
        self, model: str, messages: list[dict[str, Any]], *, schema: dict[str, Any] | None = None, **parameters: Any
    ) -> Any:
        """What a model answers: its text, or the value that fits ``schema``. A message is ``{"role", "content"}`` or has ``parts``.

        An answer that does not fit goes back to the model, three times at most. Temperature 0 and the run's seed by default.
        Raises Failure: of the request, ``invalid_output``, ``truncated``, ``refused``.
        """
        request: dict[str, Any] = {
            "model": model, "messages": messages_of(messages),
            "parameters": loop.parameters(self._body.seed, parameters),
        }  # fmt: skip
        if schema is not None:
            request["schema"] = schema

        async def perform(request: dict[str, Any]) -> Outcome:
            return await self._perform("model", model, request, repeat_safe=True)

        return await loop.ask(perform, request)

    async def agent(self, name: str, input: Any = None) -> Any:  # noqa: A002 - the word of the contract
        """Have a declared agent work on ``input``, with those of its tools that this node may use. Returns its output.

        Raises Failure as an agent node fails: ``limit_steps``, ``invalid_output``, ``loop_detected`` …
        """
        key = self._counted("agent", name)
        with self._busy(f"agent {name!r}"):
            return await self._body.agent(name, input, f"{key}.")

    async def converse(self, job: loop.Job, look: Look) -> tuple[Any, list[dict[str, Any]]]:
        """Have an agent that no manifest declares do a job: its output, and the conversation, for a job that goes on with it.

        ``look(tool, arguments)`` performs the job's tools, which change nothing; each call is a recorded effect. Raises Failure
        as ``agent`` does.
        """
        key = self._counted("agent", job.name)
        with self._busy(f"agent {job.name!r}"):
            return await self._body.converse(job, look, f"{key}.")

    async def effect(
        self, name: str, fn: Callable[..., Any], *args: Any, once: bool = False, repeat_safe: bool = False
    ) -> Any:
        """Do ``fn(*args)`` - a function of your own that touches the world - once, and record what it returns (JSON).

        ``repeat_safe``: after a crash in the middle it may simply be done again. ``once``: a later attempt of this
        node is answered with this attempt's outcome. The function gets ``idempotency_key=`` if it takes such a parameter.
        """

        async def local(effect: Effect) -> Any:
            extra = {"idempotency_key": effect.outward_key} if _takes_key(fn) else {}
            if inspect.iscoroutinefunction(fn):
                return await fn(*args, **extra)
            return await self._body.in_thread(lambda: fn(*args, **extra))

        needs: tuple[Need, ...] = () if repeat_safe else ("mutate",)
        key = f"{self._body.task}/{self._body.node}#once/{self._part_now().prefix}{name}" if once else ""
        outcome = await self._perform(
            "effect", name, list(args), local, key=key, repeat_safe=repeat_safe, needs=needs,
            on_in_doubt=self._body.on_in_doubt,
        )  # fmt: skip
        return outcome.value()

    async def ask(
        self, question: str, schema: dict[str, Any] | None = None, *,
        timeout: str | int | None = None, default: Any = None, approvers: Sequence[str] = (),
    ) -> Any:  # fmt: skip
        """Ask a human and wait, durably, for as long as it takes. Returns the answer, which fits ``schema``.

        ``timeout`` (``"24h"`` or milliseconds): ``default`` is the answer when it is over. Raises Failure(rejected).
        """
        if not isinstance(question, str) or not isinstance(schema, dict | None):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise Failure("ctx.ask(question, schema): a text, and a JSON Schema or None", code="invalid_request")
        request: dict[str, Any] = {
            "question": question, "schema": schema, "default": default, "approvers": list(approvers),
        }  # fmt: skip
        due = None
        if timeout is not None:
            due = self._later(timeout)
            request["on_timeout"] = {"decision": "approve", "value": default}
        answer = (await self._perform("human", "ask", request, due=due)).value()
        if answer["decision"] != "approve":
            why = answer.get("why") or "no reason given"
            raise Failure(f"{answer.get('by') or 'a human'} rejected it: {why}", code="rejected", details=answer)
        return answer.get("value")

    async def sleep(self, duration: str | float) -> None:
        """Wait durably: ``"30s"``, or seconds as a number. Holds no thread and no slot."""
        ms = milliseconds(duration) if isinstance(duration, str) else int(duration * 1000)
        await self._perform("timer", "sleep", {"ms": ms}, due=self._later(ms))

    async def run(self, workflow: str, input: Any = None) -> Any:  # noqa: A002 - the word of the contract
        """Run another project (a path relative to this one) as a child run and wait for it durably.

        Returns ``{run, status, output}``; raises Failure(child_failed) where the child failed.
        """
        return (await self._perform("child", workflow, {"workflow": workflow, "input": input})).value()

    # -- memory ------------------------------------------------------------------------------------------------

    @property
    def context(self) -> Any:
        """What was assembled for this node: ``{items, tokens, budget, …}``; None where its context is ``none``."""
        return self._body.context

    async def search(
        self, text: str, *, scope: str | Sequence[str] = "project",
        filter: dict[str, Any] | None = None, **config: Any,  # noqa: A002 - the word of the contract
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Documents of ``global``, ``project``, ``session`` or ``task`` memory, best first: ``{doc_id, text, scope, …}``.

        ``config``: k (10), strategy, fusion, rrf_k, dense_weight, sparse_weight, graph_weight, rerank_factor, deterministic; what
        is not named is as ``memory.search`` has it. Raises Failure: ``invalid_request``, ``no_session``.
        """
        how = {"k": 10} | self._body.searching | config
        request: dict[str, Any] = {"scopes": memory.scopes(scope), "text": text, "config": how}
        if filter is not None:
            request["filter"] = filter
        request = memory.asked("search", request)
        return (await self._perform("context", "search", request, repeat_safe=True)).value()["hits"]

    async def remember(
        self, id: str, text: str, metadata: dict[str, Any] | None = None,  # noqa: A002 - the word of the contract
        *, scope: str = "project", expected: int | None = None,
    ) -> int:  # fmt: skip
        """Keep a document, in place of the one with this id; its version. The next search finds it.

        ``expected``: the version that is to be replaced (0: none may be there). Raises Failure: ``version_conflict``,
        ``invalid_request``.
        """
        document: dict[str, Any] = {"id": id, "text": text, "metadata": {} if metadata is None else metadata}
        if expected is not None:
            document["expected"] = expected
        request = memory.asked("remember", {"scope": scope, "documents": [document]})
        outcome = await self._perform("context", "put", request, repeat_safe=True, needs=("mutate",))
        return outcome.value()["versions"][id]

    async def merge(
        self, id: str, text: str, metadata: dict[str, Any] | None = None,  # noqa: A002 - the word of the contract
        *, base: int, scope: str = "project", agent: str | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Keep a document that was made of version ``base`` (0: of none), merged with what others made of it meanwhile.

        Text is merged by lines, or by key where it is a JSON object; metadata by key (None: as in the base). What both changed,
        each in another way, ``agent`` settles (None: the one that the memory section names; empty: nobody). Returns
        ``{version, text, settled, by}``; version 0: it was removed, and stays so. Raises Failure: ``merge_conflict`` (its details
        hold the conflicts; nothing was written), ``not_found`` (no such base), ``unknown_agent``, ``version_conflict``,
        ``no_session``, ``invalid_request``.
        """
        request: dict[str, Any] = {"id": id, "text": text, "base": base, "scope": scope}
        if metadata is not None:
            request["metadata"] = metadata
        request = memory.asked("merge", request)
        key = self._counted("merge", id)
        with self._busy(f"merge {id!r}"):
            return await self._body.merge(request, agent, f"{key}.")

    async def forget(self, *ids: str, scope: str = "project") -> None:
        """Remove documents; their history stays. Raises Failure: ``invalid_request``."""
        request = memory.asked("forget", {"scope": scope, "ids": list(ids)})
        (await self._perform("context", "remove", request, repeat_safe=True, needs=("mutate",))).value()

    # -- concurrency -------------------------------------------------------------------------------------------

    async def gather(self, *work: Awaitable[Any] | Callable[[], Awaitable[Any]]) -> list[Any]:
        """Do several things at once, each with its own counter; results in order.

        All of them settle before anything is raised: then a wait unloads the body, or the first failure (in order) is raised.
        """
        part = self._part_now()
        part.groups += 1
        strands: list[tuple[Work, contextvars.Context]] = []
        for i, item in enumerate(work):
            context = contextvars.copy_context()
            context.run(_current.set, _Part(self._body, f"{part.prefix}{part.groups}g{i}."))
            strands.append((item, context))
        return await all_settled(strands)

    def part(self, name: str) -> "Ctx":
        """A context of its own, for work that you run concurrently yourself. Names are unique within the body."""
        if not name or "/" in name or name in self._parts:
            raise UsageError(f"ctx.part({name!r}): a part needs a name of its own, without '/'")
        self._parts.add(name)
        return Ctx(self._body, _Part(self._body, f"{self._part.prefix}{name}."))

    def in_thread(self, call: Callable[[], Any]) -> Awaitable[Any]:
        """Run blocking, deterministic code without holding up the event loop."""
        return self._body.in_thread(call)

    # -- what is not an effect ---------------------------------------------------------------------------------

    def now(self) -> int:
        """Milliseconds since the epoch, recorded with the next durable event: the same on every entry."""
        effect = self._next("clock", "now", None, repeat_safe=True)
        return self._body.observe(effect, self._body.now())

    def log(self, message: str, **fields: Any) -> None:
        """A line for the operator; not recorded."""
        self._body.log(message, fields)

    # -- inside ------------------------------------------------------------------------------------------------

    def _part_now(self) -> _Part:
        inherited = _current.get()
        ours = inherited is not None and inherited.body is self._body and not self._part.prefix
        return inherited if inherited is not None and ours else self._part

    def _later(self, duration: str | int) -> int:
        ms = milliseconds(duration) if isinstance(duration, str) else duration
        return self.now() + ms

    def _counted(self, kind: str, name: str, key: str = "") -> str:
        """The key of what begins now: ``key``, or the part's next. Raises Failure(invalid_request) for a name that is no text."""
        self._body.admit()
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance] - handlers are not type-checked
            raise Failure(f"{kind}: a name is a text, not {type(name).__name__}", code="invalid_request")
        part = self._part_now()
        if part.busy:
            raise UsageError(
                f"{kind} {name!r} began while {part.busy} of the same part was under way",
                hint="use ctx.gather(…) or ctx.part(name) for concurrent work: their effects are counted apart",
            )
        if key:
            return key
        part.count += 1
        return f"{self._key}/{part.prefix}{part.count}"

    def _next(self, kind: str, name: str, request: Any, *, key: str = "", **fields: Any) -> Effect:
        key, body = self._counted(kind, name, key), self._body
        return Effect(
            key=key, kind=kind, name=name, request=request, task=body.task, node=body.node, run=body.run, **fields
        )

    async def _perform(self, kind: str, name: str, request: Any, local: Local | None = None, **fields: Any) -> Outcome:
        effect = self._next(kind, name, request, **fields)
        with self._busy(f"{kind} {name!r}"):
            return await self._body.perform(effect, local)

    @contextlib.contextmanager
    def _busy(self, what: str) -> Generator[None]:
        """Nothing else may begin in this part meanwhile."""
        part = self._part_now()
        part.busy = what
        try:
            yield
        finally:
            part.busy = ""


def _takes_key(fn: Callable[..., Any]) -> bool:
    try:
        return "idempotency_key" in inspect.signature(fn).parameters
    except (TypeError, ValueError):
        return False


class AsyncNames(Protocol):
    """What a blocking face needs of the context behind it, besides the awaitable names themselves."""

    def part(self, name: str) -> Any: ...

    def now(self) -> Any: ...

    def gather(self, *work: Any) -> Coroutine[Any, Any, list[Any]]: ...

    def in_thread(self, call: Callable[[], Any]) -> Awaitable[Any]: ...


class SyncCtx:
    """The same names for synchronous handlers: each call blocks the handler's thread until the loop has the answer."""

    def __init__(self, ctx: AsyncNames, settle: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._ctx, self._settle = ctx, settle

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._ctx, name)
        if not inspect.iscoroutinefunction(value):
            return value

        def blocking(*args: Any, **kwargs: Any) -> Any:
            return self._settle(value(*args, **kwargs))

        return blocking

    def part(self, name: str) -> "SyncCtx":
        return SyncCtx(self._ctx.part(name), self._settle)

    def now(self) -> int:
        return self._settle(_later(self._ctx.now))

    def gather(self, *work: Callable[[], Any]) -> list[Any]:
        """Callables instead of awaitables; each runs in a thread of its own."""
        return self._settle(self._ctx.gather(*(partial(self._ctx.in_thread, w) for w in work)))


async def _later(call: Callable[[], Any]) -> Any:
    value = call()
    return await value if inspect.isawaitable(value) else value
