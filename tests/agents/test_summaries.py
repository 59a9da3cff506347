"""What a model is told that summarises a conversation, and which answers are taken."""

import pytest

from clew.agents.loop import Job, run
from clew.agents.summaries import INSTRUCTIONS, SCHEMA
from clew.gate.effect import Outcome
from clew.manifest.compiled import AgentPlan


class Body:
    """A model that gives these answers."""

    seed = 0

    def __init__(self, *answers):
        self.answers, self.seen = list(answers), []

    async def model(self, key, request):
        self.seen.append(request)
        return Outcome(output={"parts": [{"type": "text", "content": self.answers.pop(0)}], "finish": "stop"})


@pytest.mark.parametrize(
    "wrong", ["Ann spoke.", "{}", '{"points": "Ann spoke."}', '{"points": [1]}', '{"points": [], "x": 1}']
)
async def test_what_is_no_list_of_points_goes_back(wrong):
    body = Body(wrong, '{"points": ["Ann spoke."]}')
    job = Job(name="clerk", agent=AgentPlan(model="m"), input={"turns": []}, instructions=INSTRUCTIONS, schema=SCHEMA)
    assert await run(job, body) == {"points": ["Ann spoke."]}
    assert len(body.seen) == 2
    system = body.seen[0]["messages"][0]["parts"][0]["content"]
    assert system.startswith("Write the summary")
    assert '"turns"' not in system.partition("JSON Schema")[2], "what was said stands in the input alone"
