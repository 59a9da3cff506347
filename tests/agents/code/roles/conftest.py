"""Seats without an engine: effects are performed at once, JSON in and out, and models answer from a list."""

import inspect
import json

import pytest

from clew.agents import loop
from clew.agents.code.roles.seat import Bench, Seat
from clew.core.errors import Failure
from clew.gate.effect import Outcome, failed
from clew.service.code_agents import lint
from clew.service.looking import LOOKING, look


class Plain:
    """A ``ctx`` that records nothing; ``did`` names its effects, ``asked`` are the messages of its models, as text."""

    seed = 0

    def __init__(self, *answers):
        self.did, self.asked = [], []
        self._answers = list(answers)
        self._look = None

    async def effect(self, name, fn, *args, repeat_safe=False):
        assert repeat_safe
        self.did.append(name)
        value = fn(*json.loads(json.dumps(args)))
        return json.loads(json.dumps(await value if inspect.isawaitable(value) else value))

    async def converse(self, job, look):
        self._look = look
        output = await loop.run(job, self)
        return output, [*self.said, {"role": "assistant", "parts": [{"type": "text", "content": "as it said"}]}]

    async def model(self, key, request):
        self.said = json.loads(json.dumps(request["messages"]))
        self.offered = [tool["name"] for tool in request["tools"]]
        self.asked.append([{"role": m["role"], "content": "".join(map(content, m["parts"]))} for m in self.said])
        said = self._answers.pop(0)
        if isinstance(said, Exception):
            return failed(said)
        return Outcome(output=json.loads(json.dumps(as_answer(said))))

    async def tool(self, key, tool, arguments):
        self.did.append(tool)
        try:
            return Outcome(output=await self._look(tool, arguments))
        except Failure as failure:
            return failed(failure)

    async def together(self, work):
        return [await one() for one in work]


def content(part):
    return part["content"] if part["type"] == "text" else json.dumps(part)


def as_answer(said):
    """A dict as JSON; a list of ``(tool, arguments)`` as calls."""
    if isinstance(said, list):
        calls = [
            {"type": "tool_call", "id": f"c{n}", "name": tool, "arguments": arguments}
            for n, (tool, arguments) in enumerate(said)
        ]
        return {"parts": calls, "finish": "tool_call"}
    return {"parts": [{"type": "text", "content": json.dumps(said)}], "finish": "stop"}


@pytest.fixture
def seat(backend):
    """``seat(*answers)``: a seat, with ``body`` to look at."""

    def make(*answers):
        body = Plain(*answers)
        made = Seat(body, backend, Bench(lint, look, LOOKING))
        made.body = body
        return made

    return make
