import asyncio
import json

import pytest

from clew.testing import FakeProvider
from clew.testing.provider import Call, Step

APIS = ("chat", "responses", "anthropic", "gemini")


async def test_steps_in_order_then_the_script_is_over(call):
    async with FakeProvider(Step(text="one"), Step(text="two")) as fake:
        texts = [(await call(fake.port, "anthropic")).json["content"][0]["text"] for _ in range(2)]
        over = await call(fake.port, "anthropic")
    assert texts == ["one", "two"]
    assert (over.status, over.json["error"]["message"]) == (400, "the script is over at request 3")


async def test_repeat_and_a_function_of_the_request(call):
    async with FakeProvider(Step(text="one"), Step(text="two"), repeat=True) as fake:
        replies = [await call(fake.port, "chat") for _ in range(3)]
    assert [reply.json["choices"][0]["message"]["content"] for reply in replies] == ["one", "two", "one"]
    async with FakeProvider(script=lambda seen: Step(text=seen.body["say"])) as fake:
        assert (await call(fake.port, "chat", say="this")).json["choices"][0]["message"]["content"] == "this"


async def test_what_was_asked_is_kept_and_logged(call, tmp_path):
    log = tmp_path / "log.jsonl"
    async with FakeProvider(Step(text="x"), repeat=True, log=log) as fake:
        for api in APIS:
            await call(fake.port, api, stream=True)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["number"] for line in lines] == [1, 2, 3, 4]
    assert [line["api"] for line in lines] == list(APIS) == [seen.api for seen in fake.seen]
    assert lines[0]["headers"]["authorization"] == "Bearer k"
    assert lines[0]["body"] == {"model": "m", "stream": True}
    assert all(seen.streamed for seen in fake.seen)


async def test_several_requests_on_one_connection(request_of):
    async with FakeProvider(Step(text="x"), repeat=True) as fake:
        reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        for _ in range(3):
            writer.write(request_of("chat"))
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
        writer.close()
    assert len(fake.seen) == 3


async def test_an_unknown_path_and_a_body_that_is_no_json(raw_call):
    async with FakeProvider(Step(text="x")) as fake:
        got = await raw_call(fake.port, b"POST /elsewhere HTTP/1.1\r\nContent-Length: 4\r\n\r\n{no}")
        assert got.startswith(b"HTTP/1.1 404 ")
        got = await raw_call(fake.port, b"POST /v1/messages HTTP/1.1\r\nContent-Length: 4\r\n\r\n{no}")
    assert fake.seen[0].body == "{no}"
    assert fake.seen[0].api is None
    assert not fake.seen[1].streamed


@pytest.mark.parametrize("api", APIS)
async def test_faults(call, api):
    steps = [
        Step(status=429, headers={"retry-after": "3"}),
        Step(body='{"half'),
        Step(body={"own": 1}),
        Step(text="hello", cut=10),
    ]
    async with FakeProvider(*steps) as fake:
        replies = [await call(fake.port, api) for _ in steps]
    assert (replies[0].status, replies[0].headers["retry-after"]) == (429, "3")
    assert "429" in replies[0].json["error"]["message"]
    assert replies[1].body == b'{"half'
    assert replies[2].json == {"own": 1}
    assert len(replies[3].body) == 10


@pytest.mark.parametrize("api", APIS)
async def test_cut_streams_and_errors_in_them(call, request_of, api):
    text = "a text of several pieces"
    async with FakeProvider(
        Step(text=text), Step(text=text, cut=2), Step(text=text, cut=2, stream_error="over")
    ) as fake:
        whole, cut, broken = [await call(fake.port, api, stream=True) for _ in range(3)]
        assert len(cut.events) == 2 < len(whole.events)
        assert len(broken.events) == 3
        assert "over" in str(broken.events[-1])
    async with FakeProvider(
        Step(text=text, cut=2, reset=True), Step(reset=True), Step(text=text, cut=4, reset=True)
    ) as fake:
        for stream in (True, True, False):
            reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
            writer.write(request_of(api, stream=stream))
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readuntil(b"there is no such end")
            writer.close()


async def test_hang_and_hold_wait_for_release(call):
    async with FakeProvider(Step(text="x", hang=True), Step(text="y", hold=1)) as fake:
        hanging = asyncio.create_task(call(fake.port, "chat"))
        await fake.asked(1)
        held = asyncio.create_task(call(fake.port, "chat", stream=True))
        await fake.asked(2)
        assert not hanging.done()
        fake.release()
        assert (await hanging).status == 200
        assert (await held).events[-1] == ("", "[DONE]")


@pytest.mark.parametrize("step", [Step(hang=True), Step(text="x", hold=0), Step(text="x", hold=1)])
async def test_a_client_that_goes_away_is_noted(request_of, step):
    async with FakeProvider(step) as fake:
        _, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        writer.write(request_of("responses", stream=True))
        seen = await fake.asked(1)
        writer.close()
        await asyncio.wait_for(seen.left.wait(), 5)


async def test_closing_does_not_wait_for_what_hangs(request_of):
    async with FakeProvider(Step(hang=True)) as fake:
        reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        writer.write(request_of("chat"))
        await fake.asked(1)
    assert await reader.read() == b""
    writer.close()


async def test_time_passes_where_a_step_says_so(call):
    loop = asyncio.get_running_loop()
    async with FakeProvider(Step(text="x", delay_ms=30, first_token_ms=30)) as fake:
        begun = loop.time()
        await call(fake.port, "chat", stream=True)
    assert loop.time() - begun >= 0.055


def test_a_server_that_is_not_running_has_no_port():
    with pytest.raises(RuntimeError, match="async with"):
        _ = FakeProvider().url


@pytest.mark.parametrize("api", APIS)
async def test_models_are_echoed_or_named(call, api):
    async with FakeProvider(Step(text="x"), Step(text="x", model="other")) as fake:
        replies = [await call(fake.port, api) for _ in range(2)]
    name = "modelVersion" if api == "gemini" else "model"
    assert [reply.json[name] for reply in replies] == ["m", "other"]


async def test_calls_have_ids_of_their_own(call):
    step = Step(calls=(Call("a", {"x": 1}), Call("b", "{broken", "given")))
    async with FakeProvider(step, repeat=True) as fake:
        calls = [(await call(fake.port, "chat")).json["choices"][0]["message"]["tool_calls"] for _ in range(2)]
    assert [[one["id"] for one in reply] for reply in calls] == [["call_1_0", "given"], ["call_2_0", "given"]]
    assert calls[0][1]["function"]["arguments"] == "{broken"


async def test_it_listens_where_it_is_told():
    async with FakeProvider(Step(text="x")) as fake:
        port = fake.port
    async with FakeProvider(Step(text="x"), port=port) as again:
        assert again.port == port
