import pytest

from clew.core.errors import Failure
from clew.testing.provider import FakeProvider, Step


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_question_that_is_blocked(asker, streamed):
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}
    body = f"data: {blocked}\n\n".replace("'", '"') if streamed else blocked
    async with FakeProvider(Step(body=body)) as fake:
        answered = await asker("gemini", fake).ask(streamed=streamed)
    assert answered.answer.finish == "content_filter"
    assert answered.usage.input_tokens == 4


async def test_the_wait_that_stands_in_the_body(asker):
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "14s"}]
    body = {"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED", "details": details}}
    async with FakeProvider(Step(status=429, body=body)) as fake:
        with pytest.raises(Failure, match="slow down") as failure:
            await asker("gemini", fake).ask()
    assert failure.value.details["retry_after_ms"] == 14_000
