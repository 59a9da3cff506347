"""The agent loop: bounded ReAct. Messages go to a model, its calls to tools, what they gave back to the model, until it answers.

Everything between effects depends on recorded outcomes alone, so an entry again and a replay walk the same way without asking
anybody. After S. Yao et al., "ReAct: Synergizing Reasoning and Acting in Language Models" (2023).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, cast

import msgspec

from clew.agents import prompt
from clew.agents.guard import Guard
from clew.agents.limits import Spent
from clew.agents.output import CORRECTIONS, Answer, Output, parse
from clew.core.errors import Failure
from clew.gate.effect import Outcome
from clew.gate.ports.tool import ToolSpec
from clew.gate.schema import Validator, listed
from clew.manifest.compiled import AgentPlan

MOST_CALLS = 32
"""Of one turn; further ones are not performed."""

Json = dict[str, Any]


class AgentBody(Protocol):
    """What the loop needs of the body it runs in. Keys are relative to the body's."""

    seed: int

    async def model(self, key: str, request: Json) -> Outcome: ...

    async def tool(self, key: str, tool: str, arguments: Json) -> Outcome: ...

    async def together(self, work: Sequence[Callable[[], Awaitable[Outcome]]]) -> list[Outcome]:
        """Do all at once; everything settles before anything is raised."""
        ...


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work for an agent. ``instructions``: the node's own; ``labels``: those of a decision's edges.

    ``context``: material that it is shown before its input. ``earlier``: a conversation that it goes on with, in place of an
    opening.
    """

    name: str
    agent: AgentPlan
    input: Any
    instructions: str = ""
    schema: Any = None
    labels: tuple[str, ...] = ()
    tools: Mapping[str, ToolSpec] = {}
    context: str = ""
    earlier: tuple[Json, ...] = ()


class _Call(msgspec.Struct):
    """One call of a turn; ``reply`` is there as soon as it is settled."""

    index: int
    asked: Json
    arguments: Any
    reply: Json | None = None


async def run(job: Job, body: AgentBody) -> Any:
    """The agent's output: text, or a value that fits the schema.

    Raises Failure: what the model effect failed with, ``limit_steps | limit_tokens | limit_cost | limit_time``,
    ``price_unknown``, ``loop_detected``, ``invalid_output``, ``truncated``, ``refused``, ``in_doubt``.
    """
    return await _Loop(job, body).run()


async def ask(perform: Callable[[Json], Awaitable[Outcome]], request: Json) -> Any:
    """One request and, where its answer does not fit, corrections. Raises Failure as ``run`` does."""
    output = Output(request.get("schema"), corrections=CORRECTIONS)
    while True:
        answer = _answer(await perform(request))
        try:
            output.complete(answer)
            return output.take(answer)
        except Failure as wrong:
            request = {**request, "messages": [*request["messages"], *output.correction(answer, wrong)]}


def parameters(seed: int, own: Mapping[str, Any]) -> Json:
    """Of a request: no temperature and the run's seed, where nothing else is said; 31 bits of it: Gemini takes an int32."""
    return {"temperature": 0, "seed": seed % 2**31, **own}


class _Loop:
    def __init__(self, job: Job, body: AgentBody) -> None:
        agent = job.agent
        self._job, self._body = job, body
        self._messages = [*job.earlier] or prompt.opening(
            [agent.instructions, job.instructions], job.input, job.schema, job.context,
            chain_of_thought=agent.chain_of_thought,
        )  # fmt: skip
        self._parameters = parameters(body.seed, agent.parameters)
        self._offers = [
            {"name": name, "description": spec.description, "parameters": spec.inputs, "mutates": spec.mutates}
            for name, spec in job.tools.items()
        ]
        self._validators: dict[str, Validator] = {}
        self._output = Output(job.schema, job.labels, agent.corrections)
        self._spent = Spent(job.name, agent.limits)
        self._guard = Guard(tuple(job.tools))

    async def run(self) -> Any:
        spent, output, wrong = self._spent, self._output, None
        while spent.steps < spent.most_steps:
            spent.check()
            turn = spent.steps + 1
            last = turn == spent.most_steps
            request = self._request(last=last)
            outcome = await self._body.model(f"t{turn}", request)
            spent.turn(request, outcome)
            answer = _answer(outcome)
            try:
                output.complete(answer)
                calls = [p for p in answer["parts"] if p["type"] == "tool_call"]
                if not calls:
                    return output.take(answer)
            except Failure as failure:
                wrong = failure
                self._messages += output.correction(answer, failure)
                continue
            spent.check()
            if last:
                wrong = Failure("it asked for tools instead of answering")
                break
            self._messages.append({"role": "assistant", "parts": answer["parts"]})
            self._messages.append({"role": "tool", "parts": await self._act(turn, calls)})
        raise spent.exceeded("steps", f"{spent.steps} of {spent.most_steps} turns", wrong.message if wrong else "")

    def _request(self, *, last: bool) -> Json:
        job, own, room = self._job, self._parameters, self._spent.room()
        if room is not None:
            most = own.get("max_tokens")
            own = {**own, "max_tokens": min(room, most) if isinstance(most, int) else room}
        if (left := self._spent.seconds()) is not None:
            for name in ("timeout", *(["within"] if "within" in own else [])):
                longest = own.get(name)
                own = {**own, name: min(left, longest) if isinstance(longest, int | float) else left}
        request: Json = {"model": job.agent.model, "messages": [*self._messages], "parameters": own}
        if job.schema is not None:
            request["schema"] = job.schema
        if job.agent.fallbacks:
            request["fallbacks"] = list(job.agent.fallbacks)
        if self._offers:
            request["tools"] = self._offers  # on the last turn too: some providers want them beside a history of calls
            if last:
                request["messages"].append(prompt.said("user", prompt.LAST_TURN))
                request["parameters"] = {**own, "tool_choice": "none"}
        return request

    # -- tool calls --------------------------------------------------------------------------------------------

    async def _act(self, turn: int, asked: list[Json]) -> list[Json]:
        """Replies to the calls of one turn. Neighbours that change nothing run together, all others one after another."""
        self._guard.turn([part["name"] for part in asked])
        calls = [self._checked(index, part) for index, part in enumerate(asked)]
        batch: list[_Call] = []
        for call in calls:
            if call.reply is not None:
                continue
            if self._mutates(call):
                await self._perform(turn, batch)
                batch = []
            if advice := self._guard.advice(call.asked["name"], call.arguments):
                call.reply = prompt.failure(call.asked, {"code": "repeated_call", "message": advice})
                continue
            batch.append(call)
            if self._mutates(call):
                await self._perform(turn, batch)
                batch = []
        await self._perform(turn, batch)
        return [cast("Json", call.reply) for call in calls]

    def _mutates(self, call: _Call) -> bool:
        return self._job.tools[call.asked["name"]].mutates

    def _checked(self, index: int, part: Json) -> _Call:
        """The call with its arguments as they are to be performed, or with the reply that says why they are not."""
        name, given = part["name"], part.get("arguments", {})
        call = _Call(index, part, given)
        if index >= MOST_CALLS:
            call.reply = prompt.failure(
                part, _error("too_many_calls", f"at most {MOST_CALLS} calls are made in one turn")
            )
        elif name not in self._job.tools:
            there = ", ".join(self._job.tools) or "none"
            call.reply = self._refused(call, _error("unknown_tool", f"there is no tool {name!r}; there are: {there}"))
        elif not isinstance(given := _object(given), dict):
            call.reply = self._refused(call, _error("invalid_arguments", "the arguments are no JSON object"))
        else:
            call.arguments = given
            problems = self._validator(name).problems(given)
            if problems:
                call.reply = self._refused(call, _error("invalid_arguments", listed(problems)))
        return call

    def _validator(self, name: str) -> Validator:
        if name not in self._validators:
            self._validators[name] = Validator(self._job.tools[name].inputs)
        return self._validators[name]

    def _refused(self, call: _Call, error: Json) -> Json:
        name = call.asked["name"]
        again = self._guard.advice(name, call.arguments)
        advice = self._guard.done(name, call.arguments, error, failed=True, mutates=False)
        return prompt.failure(call.asked, error, again or advice)

    async def _perform(self, turn: int, batch: list[_Call]) -> None:
        """All of the batch at once; a failure that nobody knows the effect of fails the body."""
        if not batch:
            return
        body = self._body

        def work(call: _Call) -> Callable[[], Awaitable[Outcome]]:
            return lambda: body.tool(f"t{turn}.c{call.index}", call.asked["name"], call.arguments)

        outcomes = await body.together([work(call) for call in batch])
        self._spent.together(outcomes)
        for call, outcome in zip(batch, outcomes, strict=True):
            name, error = call.asked["name"], outcome.error
            if error is not None and error.get("code") == "in_doubt":
                outcome.value()
            result = outcome.output if error is None else [error.get("code"), error.get("message")]
            advice = self._guard.done(
                name, call.arguments, result, failed=error is not None, mutates=self._mutates(call)
            )
            if error is None:
                call.reply = prompt.response(call.asked, outcome.output)
            else:
                call.reply = prompt.failure(call.asked, error, advice)


def _answer(outcome: Outcome) -> Answer:
    """Raises Failure: what the model effect failed with."""
    answer: Any = outcome.value()
    if not isinstance(answer, Mapping) or "parts" not in answer:
        raise Failure("what answered for the model gave no answer of a model", code="bad_answer")
    return cast("Answer", answer)


def _object(given: Any) -> Any:
    """Arguments that came as text, as what they say."""
    if not isinstance(given, str):
        return given
    try:
        return parse(given) if given.strip() else {}
    except Failure:
        return None


def _error(code: str, message: str) -> Json:
    return {"code": code, "message": message}
