from clew.testing.provider import FakeProvider, Step


async def test_a_long_answer_is_read_as_a_stream_and_handed_over_whole(asker):
    """Without a bound the library asks for all the tokens that the model has, which the service answers only in a stream."""
    async with FakeProvider(Step(text="hello")) as fake:
        answered = await asker("anthropic", fake).ask(parameters={})
    assert answered.answer.text == "hello"
    assert fake.seen[0].streamed


async def test_limits_in_its_own_headers(asker):
    headers = {
        "date": "Sun, 06 Nov 1994 08:49:37 GMT",
        "anthropic-ratelimit-requests-remaining": "3",
        "anthropic-ratelimit-requests-reset": "1994-11-06T08:50:37Z",
    }
    async with FakeProvider(Step(text="x", headers=headers)) as fake:
        limit = (await asker("anthropic", fake).ask()).limit
    assert (limit.remaining_requests, limit.reset_requests_ms) == (3, 60_000)
