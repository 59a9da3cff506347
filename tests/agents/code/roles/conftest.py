"""Seats without an engine: effects are performed at once, JSON in and out, and models answer from a list."""

import inspect
import json

import pytest

from clew.agents.code.roles.seat import Seat
from clew.service.code_agents import lint


class Plain:
    """A ``ctx`` that records nothing; ``did`` names its effects, ``asked`` are the messages of its models."""

    def __init__(self, *answers):
        self.did, self.asked, self._answers = [], [], list(answers)

    async def effect(self, name, fn, *args, repeat_safe=False):
        assert repeat_safe
        self.did.append(name)
        value = fn(*json.loads(json.dumps(args)))
        return json.loads(json.dumps(await value if inspect.isawaitable(value) else value))

    async def model(self, model, messages, *, schema=None):
        self.asked.append(json.loads(json.dumps(messages)))
        said = self._answers.pop(0)
        if isinstance(said, Exception):
            raise said
        return said


@pytest.fixture
def seat(backend):
    """``seat(*answers)``: a seat, with ``body`` to look at."""

    def make(*answers):
        made = Seat(Plain(*answers), backend, lint)
        made.body = made._body
        return made

    return make
