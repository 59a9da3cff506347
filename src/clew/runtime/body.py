"""One entry of one node's body, through the fixed stages: context, execute, validate; the machine does update and route (W8)."""

import asyncio
import inspect
import logging
import threading
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal, Protocol

import msgspec

from clew.agents.loop import Job
from clew.core.codec import plain
from clew.core.commands import RunNode
from clew.core.errors import ClewError, Failure, Stopped, Suspended, described
from clew.core.events import Event, NodeCompleted, NodeFailed, NodeStopped, NodeSuspended
from clew.core.identity import body_key
from clew.gate.door import Local, finished_event, outcome_of
from clew.gate.effect import Effect, Need, OnInDoubt, Outcome
from clew.gate.ports.embedding import Handed
from clew.gate.ports.tool import ToolSpec
from clew.manifest.compiled import ApprovalSpec, NodePlan
from clew.policies.redact import alike
from clew.runtime import memory
from clew.runtime.agent import agent_output, conversation
from clew.runtime.audit import unwatched, watched
from clew.runtime.ctx import Ctx, Look, SyncCtx
from clew.runtime.embedding import asked_before, handed
from clew.runtime.extraction import extracted
from clew.runtime.merging import merged
from clew.runtime.project import Project
from clew.runtime.summaries import summarised

logger = logging.getLogger("clew.handler")

Cut = Literal["timeout", "cancelled", "closing", "suspended"]


class HostView(Protocol):
    """What a body needs of its host."""

    run: str
    seed: int
    session: str
    project: Project

    def now(self) -> int: ...

    async def perform(self, effect: Effect, local: Local | None) -> Outcome: ...

    def recorded(self, key: str) -> Event | None: ...

    def started(self, key: str) -> Event | None: ...

    def buffer(self, event: Event) -> None: ...

    def used_ms(self, key: str) -> int:
        """Running time that earlier entries of this attempt used."""
        ...


class Body:
    """Runs to a terminal fact, or to None when its host is closing. Its gate can be shut from outside (``cut``)."""

    def __init__(self, host: HostView, command: RunNode) -> None:
        self._host = host
        self._mask = host.project.mask
        self.run = host.run
        self.seed = host.seed
        self.task, self.node, self.attempt = command.task, command.node, command.attempt
        self.key = body_key(self.task, self.node, self.attempt)
        self._input: Any = command.input
        self.context: Any = None
        """What was assembled for this node; None: its context is ``none``."""
        self.plan: NodePlan = host.project.plan.nodes[self.node]
        self.on_in_doubt: OnInDoubt = self.plan.on_in_doubt
        self.reason: Cut | None = None
        self.began = host.now()
        self.deadline = self.began + max(0, self.plan.timeout_ms - host.used_ms(self.key))
        self._in_flight = 0
        self._at_stake = 0
        self._idle: asyncio.Event | None = None
        self._performing: set[asyncio.Task[Any]] = set()
        self._thread: asyncio.Future[Any] | None = None
        self._ident = 0
        self._inside: set[int] = set()
        self._arm: asyncio.Task[Any] | None = None

    @property
    def searching(self) -> dict[str, Any]:
        """What a search is told where nobody says otherwise."""
        return memory.searching(self._host.project.plan)

    # -- from outside ------------------------------------------------------------------------------------------

    def cut(self, reason: Cut) -> None:
        """Shut the gate - no new effect - and stop what runs: async work is cancelled, a thread is asked to stop."""
        self.shut(reason)
        if self._arm is not None:
            self._arm.cancel()
        if self._thread is not None and self._ident not in self._inside:  # what is in ctx is stopped on its way out
            self._host.project.threads.interrupt(self._thread)

    def abandon(self) -> None:
        """Give up what is in flight: it is recorded as interrupted."""
        for task in self._performing:
            task.cancel()

    def shut(self, reason: Cut) -> None:
        """Shut the gate; what runs is not stopped yet."""
        if self.reason is None:
            self.reason = reason

    async def settled(self, *, unsafe: bool = False) -> None:
        """Until no effect of this body is in flight; ``unsafe``: none that would be in doubt if it were left now."""
        while self._at_stake if unsafe else self._in_flight:
            if self._idle is None or self._idle.is_set():
                self._idle = asyncio.Event()
            await self._idle.wait()

    # -- the stages --------------------------------------------------------------------------------------------

    async def finish(self) -> Event | None:
        """The fact that ends this entry; None where the run is entered again elsewhere."""
        self._arm = asyncio.current_task()
        try:
            event = await self._outcome()
        finally:
            arm, self._arm = self._arm, None
            while arm is not None and arm.cancelling() and self.reason is not None:
                arm.uncancel()
        if self.reason in ("timeout", "cancelled"):
            await self.settled()  # what is in flight is recorded and paid for; the host bounds this wait
        return event if self.reason in (None, "suspended") else self.stopped(self.reason)

    async def _outcome(self) -> Event | None:
        try:
            output = self._mask(await self._stages())
            return Event(NodeCompleted(task=self.task, node=self.node, attempt=self.attempt), output, self._host.now())
        except Suspended:
            if self.reason is None:
                self.reason = "suspended"
            await self.settled()
            fact = NodeSuspended(task=self.task, node=self.node, attempt=self.attempt, ms=self._used())
            return Event(fact, None, self._host.now())
        except Failure as failure:
            return self._failed(failure.code, str(failure), failure.details)
        except ClewError as error:
            return self._failed(error.code, str(error))
        except (Stopped, asyncio.CancelledError):
            if self.reason is None:
                raise
            return None
        except (Exception, SystemExit) as error:
            return self._failed("error", described(error), {"where": _where(error)})

    def stopped(self, reason: Cut | None) -> Event | None:
        """The fact that records a cut; None when the host is closing."""
        if reason == "timeout":
            return self._failed("timeout", f"{self.node!r} ran longer than {self.plan.timeout_ms} ms")
        if reason == "cancelled":
            return Event(NodeStopped(task=self.task, node=self.node, attempt=self.attempt), None, self._host.now())
        return None

    async def _stages(self) -> Any:
        plan, project = self.plan, self._host.project
        value = self._input
        if plan.schema_in:
            project.check(plan.schema_in, value, code="invalid_input", what="input")
        if plan.approval:
            value = await self._approved(plan.approval, value)
        await self._assemble(value)
        output = await self._execute(value)
        if plan.schema_out:
            project.check(plan.schema_out, output, code="invalid_output", what="output")
        return output

    async def _approved(self, spec: ApprovalSpec, value: Any) -> Any:
        """A human agrees before the body runs; the value may come back edited (and fits ``schema_in`` again)."""
        request = {
            "question": spec.message or f"Run {self.node!r} with this input?",
            "args": value,
            "editable": spec.editable,
            "schema": self._host.project.plan.schemas.get(self.plan.schema_in or ""),
            "approvers": list(spec.approvers),
            "on_timeout": {"decision": spec.default},
        }
        due = None
        if spec.timeout_ms is not None:
            asked = Effect(
                key=f"{self.key}/asked",
                kind="clock",
                name="now",
                request=None,
                task=self.task,
                node=self.node,
                repeat_safe=True,
            )
            due = int(self.observe(asked, self.now())) + spec.timeout_ms
        effect = Effect(
            key=f"{self.key}/approval",
            kind="human",
            name="approval",
            request=request,
            task=self.task,
            node=self.node,
            due=due,
        )
        answer = (await self.perform(effect)).value()
        if answer["decision"] != "approve":
            who, why = answer.get("by") or "nobody in time", answer.get("why") or "no reason given"
            raise Failure(f"rejected by {who}: {why}", code="rejected", details=answer)
        if "value" not in answer or not spec.editable:
            return value
        if self.plan.schema_in:
            self._host.project.check(self.plan.schema_in, answer["value"], code="invalid_input", what="edited input")
        return answer["value"]

    async def _assemble(self, value: Any) -> None:
        request = memory.assembly(self._host.project.plan, self.plan.context, value)
        if request is not None:
            self.context = (await self.perform(self._remembering("context", "assemble", request))).value()

    def _remembering(self, key: str, name: str, request: Any, *needs: Need) -> Effect:
        return Effect(
            key=f"{self.key}/{key}", kind="context", name=name, request=request, task=self.task, node=self.node, run=self.run,
            repeat_safe=True, needs=needs,
        )  # fmt: skip

    async def _converse(self, value: Any) -> Any:
        """The agent of this node, whose turn becomes part of the session's conversation where its context profile has one."""
        output = await self.agent(self.plan.agent or "", value, f"{self.key}/")
        request = memory.turns(
            self._host.project.plan, self.plan.context, (self.run, self.task, self.key), value, output
        )
        if request is not None and self._host.session:
            added = await self.perform(self._remembering("turn", "put", request, "mutate"))
            await summarised(self._host.project, self, added)
        return output

    async def _execute(self, value: Any) -> Any:
        if self.plan.agent is not None:
            return await self._converse(value)
        if self.plan.handler is None:
            return value
        if self.plan.effects == "external":
            return await self._external(value)
        return await self._handler(value)

    async def _external(self, value: Any) -> Any:
        """The whole body is one effect, under the in-doubt rule."""
        effect = Effect(
            key=f"{self.key}/body", kind="handler", name=self.plan.handler or "", request=value, task=self.task, node=self.node,
            on_in_doubt=self.on_in_doubt, needs=("mutate", "network", "shell"),
        )  # fmt: skip

        async def local(final: Effect) -> Any:
            return await self._handler(final.request)

        return (await self.perform(effect, local)).value()

    async def _handler(self, value: Any) -> Any:
        project = self._host.project
        reference = self.plan.handler or ""
        if self.plan.isolation == "process":
            return plain(await project.processes.run(self, reference, value))
        handler, asynchronous = project.handlers.get(reference)
        ctx = Ctx(self)
        external = self.plan.effects == "external"
        with watched(self.node, declared=external):
            if asynchronous:
                result = handler(value, ctx)
            else:
                result = await self._in_thread_of_its_own(handler, value, ctx)
            if inspect.isawaitable(result):
                result = await result
        return plain(_dump(result))

    async def _in_thread_of_its_own(self, handler: Callable[..., Any], value: Any, ctx: Ctx) -> Any:
        loop = asyncio.get_running_loop()

        def settle(work: Coroutine[Any, Any, Any]) -> Any:
            if self.reason is not None:
                work.close()
                raise Stopped(self.reason)
            thread = threading.get_ident()
            self._inside.add(thread)
            try:
                return asyncio.run_coroutine_threadsafe(work, loop).result()
            finally:
                self._inside.discard(thread)
                if self.reason is not None:
                    raise Stopped(self.reason)

        def enter() -> Any:
            self._ident = threading.get_ident()
            return handler(value, SyncCtx(ctx, settle))

        self._thread = self._host.project.threads.run(enter)
        return await self._thread

    # -- what ctx needs (BodyView) -----------------------------------------------------------------------------

    def admit(self) -> None:
        if self.reason is not None:
            raise Stopped(self.reason)

    async def perform(self, effect: Effect, local: Local | None = None) -> Outcome:
        self.admit()
        effect = await self._prepared(effect)
        request = self._asked_before(effect.key, self._mask(effect.request))
        if request is not effect.request:
            effect = msgspec.structs.replace(effect, request=request)
        self._in_flight += 1
        self._at_stake += not effect.repeat_safe
        task = asyncio.current_task()
        if task is not None:
            self._performing.add(task)
        try:
            with unwatched():
                outcome = await self._host.perform(effect, local)
        finally:
            self._in_flight -= 1
            self._at_stake -= not effect.repeat_safe
            if task is not None:
                self._performing.discard(task)
            if self._idle is not None:
                self._idle.set()
        self.admit()
        return outcome

    def tool(self, name: str) -> tuple[bool, OnInDoubt, tuple[Need, ...]]:
        if name not in self.plan.tools:
            known = ", ".join(self.plan.tools) or "none"
            raise Failure(f"node {self.node!r} may not use tool {name!r} (its tools: {known})", code="tool_not_allowed")
        spec = self._host.project.tools[name]
        return spec.repeat_safe, self._host.project.plan.tools[name].on_in_doubt, tool_needs(spec)

    async def agent(self, name: str, value: Any, key: str) -> Any:
        return await agent_output(self._host.project, self, name, value, key)

    async def converse(self, job: Job, look: Look, key: str) -> tuple[Any, list[dict[str, Any]]]:
        return await conversation(self, job, look, key)

    async def merge(self, request: dict[str, Any], agent: str | None, key: str) -> dict[str, Any]:
        return await merged(self._host.project, self, request, agent, key)

    def observe(self, effect: Effect, value: Any) -> Any:
        recorded = self._host.recorded(effect.key)
        if recorded is not None:
            return outcome_of(recorded).output
        event = finished_event(effect, Outcome(output=value), begun=True, ms=0, at=self._host.now())
        self._host.buffer(event)
        return value

    def now(self) -> int:
        return self._host.now()

    def in_thread(self, call: Callable[[], Any]) -> Awaitable[Any]:
        return self._host.project.threads.run(call)

    def log(self, message: str, fields: dict[str, Any]) -> None:
        said = {"run": self.run, "task": self.task, "node": self.node, **self._mask(fields)}
        logger.info("%s", self._mask(message), extra={"clew": said})

    # -- inside ------------------------------------------------------------------------------------------------

    async def _prepared(self, effect: Effect) -> Effect:
        """Handed what an agent read in its documents, and the vectors of its texts where a provider's model makes them; by effects
        of their own."""
        read = await extracted(self._host.project, self, effect)
        before = asked_before(self._host.project.plan, effect)
        if before is None and not read:
            return effect
        given = Handed()
        if before is not None:
            embedding, asked = before
            given = handed(embedding, await self.perform(asked))
        return msgspec.structs.replace(effect, handed=msgspec.structs.replace(given, extracted=read))

    def _asked_before(self, key: str, request: Any) -> Any:
        """``request``, or the recorded one where they differ in masks alone: secrets become known, and are changed, meanwhile."""
        begun, done = self._host.started(key), self._host.recorded(key)
        told: dict[str, Any] = (done.payload if done else None) or {}
        before: Any = begun.payload if begun else told.get("request")
        return before if before not in (None, request) and alike(before, request) else request

    def _used(self) -> int:
        return self._host.used_ms(self.key) + self._host.now() - self.began

    def _failed(self, code: str, message: str, details: Any = None) -> Event:
        payload: dict[str, Any] = {"message": message}
        if details is not None:
            payload["details"] = details
        return Event(
            NodeFailed(task=self.task, node=self.node, attempt=self.attempt, code=code),
            self._mask(payload),
            self._host.now(),
        )


def tool_needs(tool: ToolSpec) -> tuple[Need, ...]:
    """Capabilities that a tool's calls need."""
    needs: list[Need] = []
    if tool.mutates:
        needs.append("mutate")
    if tool.permissions.network:
        needs.append("network")
    if tool.permissions.shell:
        needs.append("shell")
    return tuple(needs)


def _dump(value: Any) -> Any:
    """A pydantic model (anything with ``model_dump``) as JSON values."""
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if callable(dump) else value


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
