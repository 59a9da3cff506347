"""Every protocol through its real client: what is said, how it breaks, what goes over the wire."""

import asyncio
from itertools import product

import pytest
from msgspec.structs import replace

from clew.core.errors import Failure
from clew.gate.ports.model import FAULTS, Reasoning, Text, Usage
from clew.testing.provider import Call, FakeProvider, Step

KINDS = ("chat", "responses", "anthropic", "gemini")
BOTH = tuple(product(KINDS, (False, True)))
EACH = pytest.mark.parametrize(("kind", "streamed"), BOTH)

LONG = "a long text that is sent in a good many pieces"
USAGE = Usage(input_tokens=100, output_tokens=50, cache_read_tokens=30, reasoning_tokens=20)
WHOLE = Step(
    reasoning="let me think about it",
    text="I shall look both up",
    calls=(Call("lookup", {"id": 1}), Call("lookup", {"id": 2})),
    usage=USAGE,
    headers={
        "x-ratelimit-remaining-requests": "5",
        "x-ratelimit-remaining-tokens": "900",
        "x-ratelimit-reset-requests": "6m0s",
        "x-ratelimit-reset-tokens": "250ms",
    },
)


@EACH
async def test_text(asker, kind, streamed):
    async with FakeProvider(Step(text=LONG)) as fake:
        one = asker(kind, fake)
        answered = await one.ask(streamed=streamed)
    assert answered.answer.text == LONG
    assert answered.answer.finish == "stop"
    assert answered.answer.model == one.model
    assert answered.answer.id
    assert answered.usage == Usage(input_tokens=10, output_tokens=5)
    assert answered.limit is None
    assert one.said("text") == (LONG if streamed else "")
    assert fake.seen[0].streamed is streamed


@EACH
async def test_reasoning_parallel_tools_usage_and_limits(asker, kind, streamed):
    async with FakeProvider(WHOLE) as fake:
        one = asker(kind, fake)
        answered = await one.ask(streamed=streamed)
    answer = answered.answer
    spoken = [part for part in answer.parts if not isinstance(part, Reasoning) or part.content]
    assert [type(part).__name__ for part in spoken] == ["Reasoning", "Text", "ToolCall", "ToolCall"]
    assert spoken[0].content == "let me think about it"
    assert answer.text == "I shall look both up"
    assert [(call.name, call.arguments) for call in answer.calls] == [("lookup", {"id": 1}), ("lookup", {"id": 2})]
    assert len({call.id for call in answer.calls}) == 2
    assert answer.finish == "tool_call"
    assert answered.usage == USAGE
    assert answered.limit is not None
    assert answered.limit.remaining_requests == 5
    assert answered.limit.remaining_tokens == 900
    assert answered.limit.reset_requests_ms == 360_000
    assert answered.limit.reset_tokens_ms == 250
    if streamed:
        assert one.said("text") == "I shall look both up"
        assert one.said("reasoning") == "let me think about it"


async def test_tokens_written_to_the_cache(asker):
    usage = Usage(input_tokens=100, output_tokens=5, cache_read_tokens=30, cache_write_tokens=20)
    async with FakeProvider(Step(text="x", usage=usage), Step(text="x", usage=usage)) as fake:
        one = asker("anthropic", fake)
        assert (await one.ask()).usage == usage
        assert (await one.ask(streamed=True)).usage == usage


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("kind", ["chat", "responses", "anthropic"])  # Gemini sends arguments as an object
async def test_arguments_that_are_no_json_are_kept_as_text(asker, kind, streamed):
    async with FakeProvider(Step(calls=(Call("lookup", '{"id": '), Call("lookup", "[1]"), Call("lookup", "")))) as fake:
        answered = await asker(kind, fake).ask(streamed=streamed)
    assert [call.arguments for call in answered.answer.calls] == ['{"id": ', "[1]", {}]


@EACH
async def test_refusal_and_length(asker, kind, streamed):
    async with FakeProvider(Step(text="I will not", refusal=True), Step(text="half of", finish="length")) as fake:
        one = asker(kind, fake)
        refused = await one.ask(streamed=streamed)
        cut = await one.ask(streamed=streamed)
    assert (refused.answer.finish, refused.answer.text) == ("content_filter", "I will not")
    assert (cut.answer.finish, cut.answer.text) == ("length", "half of")


REFUSED = {
    400: "invalid_request",
    401: "unauthorised",
    403: "unauthorised",
    404: "invalid_request",
    408: "provider_timeout",
    422: "invalid_request",
    500: "provider_error",
    502: "provider_error",
    503: "provider_error",
    504: "provider_timeout",
    529: "provider_error",
}


@EACH
async def test_statuses(asker, kind, streamed):
    async with FakeProvider(*(Step(status=status) for status in REFUSED)) as fake:
        one = asker(kind, fake)
        for status, code in REFUSED.items():
            with pytest.raises(Failure) as failure:
                await one.ask(streamed=streamed)
            assert (status, failure.value.code) == (status, code)
            assert failure.value.details["status"] == status
            assert failure.value.__cause__ is None
    assert len(fake.seen) == len(REFUSED), "nothing is tried twice"


@EACH
async def test_too_many_requests(asker, kind, streamed):
    steps = [
        Step(status=429, headers={"retry-after": "2"}),
        Step(status=429, headers={"retry-after-ms": "1500"}),
        Step(
            status=429,
            headers={"date": "Sun, 06 Nov 1994 08:49:37 GMT", "retry-after": "Sun, 06 Nov 1994 08:49:40 GMT"},
        ),
        Step(status=429, headers={"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m1s"}),
        Step(status=429),
        Step(status=503, headers={"retry-after": "7"}),
    ]
    waits = []
    async with FakeProvider(*steps) as fake:
        one = asker(kind, fake)
        for step in steps:
            with pytest.raises(Failure) as failure:
                await one.ask(streamed=streamed)
            assert failure.value.code == ("rate_limited" if step.status == 429 else "provider_error")
            waits.append(failure.value.details.get("retry_after_ms"))
    assert waits == [2000, 1500, 3000, 61_000, None, 7000]
    assert len(fake.seen) == len(steps)


@EACH
@pytest.mark.parametrize(
    "message", ["This model's maximum context length is 5 tokens", "prompt is too long: 9 tokens > 5 maximum"]
)
async def test_context_too_long(asker, kind, streamed, message):
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
    async with FakeProvider(Step(status=400, body=body)) as fake:
        with pytest.raises(Failure, match=message[:20]) as failure:
            await asker(kind, fake).ask(streamed=streamed)
    assert failure.value.code == "context_too_long"


async def test_quota_that_is_used_up_is_no_matter_of_waiting(asker):
    body = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
    async with FakeProvider(Step(status=429, body=body)) as fake:
        with pytest.raises(Failure) as failure:
            await asker("chat", fake).ask()
    assert failure.value.code == "unauthorised"
    assert not FAULTS[failure.value.code]


MALFORMED = {
    "half a JSON": Step(body='{"id": '),
    "no fields": Step(body={}),
    "no choices": Step(body={"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": []}),
    "a list": Step(body=[]),
    "null": Step(body="null"),
    "nothing": Step(body=""),
    "a page": Step(body="<html>welcome</html>", headers={"content-type": "text/html"}),
    "strange events": Step(body='data: {"x": [}\n\n', headers={"content-type": "text/event-stream"}),
    "no fields in events": Step(body="data: {}\n\n", headers={"content-type": "text/event-stream"}),
}


@EACH
@pytest.mark.parametrize("what", MALFORMED)
async def test_malformed(asker, kind, streamed, what):
    async with FakeProvider(MALFORMED[what]) as fake:
        with pytest.raises(Failure) as failure:
            await asker(kind, fake).ask(streamed=streamed)
    assert failure.value.code == "bad_answer"


@EACH
async def test_an_error_page(asker, kind, streamed):
    page = Step(status=502, body=f"<html>bad gateway {'x' * 2000}</html>", headers={"content-type": "text/html"})
    async with FakeProvider(page) as fake:
        with pytest.raises(Failure, match="bad gateway") as failure:
            await asker(kind, fake).ask(streamed=streamed)
    assert failure.value.code == "provider_error"
    assert len(str(failure.value)) < 600


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("refusal", [False, True])
async def test_no_part_of_a_stream_is_a_whole_answer(asker, kind, reset, refusal):
    """Cut before any event but the last, by a polite end or by a broken connection: never taken as complete."""
    whole, codes = 0, set()
    said = Step(text=LONG, reset=reset, refusal=refusal)
    async with FakeProvider(script=lambda seen: replace(said, cut=seen.number - 1)) as fake:
        one = asker(kind, fake)
        for _ in range(30):
            try:
                answered = await one.ask(streamed=True)
            except Failure as failure:
                codes.add((failure.code, whole))
            else:
                whole += 1
                assert answered.answer.text == LONG
                assert answered.usage == Usage(input_tokens=10, output_tokens=5)
    assert codes == {("bad_answer", 0)}, "and never a fault once it was whole"
    assert reset or whole > 0


@pytest.mark.parametrize("kind", KINDS)
async def test_an_error_in_the_stream(asker, kind):
    async with FakeProvider(Step(text=LONG, cut=3, stream_error="overloaded")) as fake:
        with pytest.raises(Failure, match="overloaded") as failure:
            await asker(kind, fake).ask(streamed=True)
    assert failure.value.code == "provider_error"


@EACH
async def test_connections_that_fail(asker, kind, streamed):
    async with FakeProvider(Step(reset=True), Step(text=LONG, cut=1, reset=True)) as fake:
        one = asker(kind, fake)
        codes = []
        for _ in range(2):
            with pytest.raises(Failure) as failure:
                await one.ask(streamed=streamed)
            codes.append(failure.value.code)
        assert codes == ["provider_unreachable", "bad_answer"]
        assert len(fake.seen) == 2
    with pytest.raises(Failure) as failure:
        await one.ask(streamed=streamed)
    assert failure.value.code == "provider_unreachable"


@EACH
async def test_a_hang_ends_and_the_connection_is_closed(asker, kind, streamed):
    async with FakeProvider(Step(text="late", hang=True), Step(text="on time")) as fake:
        one = asker(kind, fake, timeout_ms=150)
        with pytest.raises(Failure, match=r"within 0\.15 s") as failure:
            await one.ask(streamed=streamed)
        assert failure.value.code == "provider_timeout"
        await asyncio.wait_for(fake.seen[0].left.wait(), 5)


@EACH
async def test_cancelling_closes_the_connection(asker, kind, streamed):
    async with FakeProvider(Step(text=LONG, hang=not streamed, hold=3 if streamed else None)) as fake:
        task = asyncio.create_task(asker(kind, fake).ask(streamed=streamed))
        seen = await fake.asked(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(seen.left.wait(), 5)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_said_is_passed_on_at_once(asker, ask_of, kind):
    async with FakeProvider(Step(text=LONG, hold=9)) as fake:
        one = asker(kind, fake)
        heard = asyncio.Event()
        task = asyncio.create_task(one.client.ask(one.model, ask_of(), lambda *_: heard.set()))
        await asyncio.wait_for(heard.wait(), 10)
        assert not task.done()
        fake.release()
        assert (await task).answer.text == LONG


@EACH
async def test_equal_requests_have_equal_bodies(asker, kind, streamed):
    async with FakeProvider(Step(text="x"), repeat=True) as fake:
        for one in (asker(kind, fake), asker(kind, fake)):
            for _ in range(2):
                await one.ask(streamed=streamed, parameters={"temperature": 0, "seed": 7, "max_tokens": 50})
    assert len({seen.raw for seen in fake.seen}) == 1


SCHEMA = {"type": "object", "properties": {"v": {"type": "integer"}}, "required": ["v"]}


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        ("chat", ("response_format", "json_schema", "schema")),
        ("responses", ("text", "format", "schema")),
        ("anthropic", ("output_config", "format", "schema")),
        ("gemini", ("generationConfig", "responseJsonSchema")),
    ],
)
async def test_a_schema_is_enforced_by_the_provider(asker, kind, where):
    async with FakeProvider(Step(text='{"v": 1}')) as fake:
        answered = await asker(kind, fake).ask(schema=SCHEMA, tools=())
    found = fake.seen[0].body
    for name in where:
        found = found[name]
    assert found["properties"]["v"]["type"] == "integer"
    assert answered.answer.parts[-1] == Text('{"v": 1}')


@pytest.mark.parametrize("kind", KINDS)
async def test_a_schema_that_a_provider_cannot_enforce_is_described(asker, kind):
    async with FakeProvider(Step(text="[1]")) as fake:
        await asker(kind, fake).ask(schema={"type": "array", "items": {"type": "integer"}}, tools=())
    assert b'\\"items\\"' in fake.seen[0].raw


async def test_a_schema_beside_tools_where_a_model_takes_only_one(asker):
    async with FakeProvider(Step(text='{"v": 1}')) as fake:
        await asker("gemini", fake).ask(schema=SCHEMA)
    assert b"functionDeclarations" in fake.seen[0].raw
    assert b'\\"required\\"' in fake.seen[0].raw


@EACH
async def test_a_redirect_is_not_followed(asker, kind, streamed):
    async with FakeProvider(Step(text="caught")) as elsewhere:
        away = Step(status=307, headers={"location": f"{elsewhere.url}/v1/chat/completions"})
        async with FakeProvider(away) as fake:
            with pytest.raises(Failure) as failure:
                await asker(kind, fake).ask(streamed=streamed)
        assert failure.value.code == "provider_error"
        assert elsewhere.seen == []


async def test_many_at_once_keep_their_own_answers(asker, ask_of):
    async with FakeProvider(script=lambda seen: Step(text=seen.body["messages"][-1]["content"])) as fake:
        one = asker("chat", fake)
        answers = await asyncio.gather(*(one.ask(ask_of(f"number {n}")) for n in range(40)))
    assert [answered.answer.text for answered in answers] == [f"number {n}" for n in range(40)]
