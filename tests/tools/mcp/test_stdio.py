"""Against a server that does whatever a server may do wrong."""

import asyncio
import json
import os

import pytest

from clew.tools.mcp import connection


def lines(path):
    return path.read_text().split() if path.exists() else []


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_text_structured_content_and_what_is_no_text(call):
    assert await call("echo", {"text": "grüß dich"}) == "grüß dich"
    assert await call("structured") == {"n": 1, "deep": [{}]}
    assert await call("picture") == "see:\n[image image/png, 3,000 bytes, not shown]"
    assert await call("link") == "[link a: file:///a]\n[resource file:///b ?, 3 bytes, not shown]\n[file:///c]\ninside"
    assert await call("odd") == {"n": None, "b": 10**30}


async def test_what_the_tool_or_the_server_says_against_a_call_is_a_failure(failing):
    failure = await failing("fail")
    assert (failure.code, failure.message) == ("tool_failed", "no such city")
    refused = await failing("refuse")
    assert refused.code == "tool_failed"
    assert refused.message.startswith("what is that that")
    assert len(refused.message) <= 2000
    assert (await failing("malformed")).code == "in_doubt"


async def test_a_large_text_is_cut_and_a_large_value_refused(call, failing):
    text = await call("large")
    assert len(text) < 101_000
    assert text.endswith("[cut: 200,000 more characters]")
    assert (await failing("large_value")).code == "result_too_large"


async def test_garbage_is_passed_over(call, tmp_path):
    assert await call("garbage") == "still here"
    assert len(lines(tmp_path / "starts")) == 1


@pytest.mark.parametrize("tool", ["flood", "endless"])
async def test_a_flood_ends_the_server_not_the_engine(tool, failing, call, tmp_path):
    async with asyncio.timeout(20):
        failure = await failing(tool)
    assert failure.code == "in_doubt"
    assert "floods" in failure.message or "more than 8 MiB" in failure.message
    assert await call("echo", {"text": "again"}) == "again"
    assert gone(int(lines(tmp_path / "starts")[0]))


async def test_a_server_that_ends_during_a_call_leaves_it_in_doubt(call, failing, tmp_path):
    failure = await failing("die")
    assert failure.code == "in_doubt"
    assert "exit code 3: out of cheese" in failure.message
    assert lines(tmp_path / "calls") == ["die"]
    assert await call("echo", {"text": "x"}) == "x"
    assert len(lines(tmp_path / "starts")) == 2


async def test_what_is_safe_to_repeat_is_asked_for_once_more(failing, tmp_path):
    failure = await failing("die", repeat=True)
    assert failure.code == "tool_unavailable"
    assert lines(tmp_path / "calls") == ["die", "die"]


async def test_one_that_ended_between_calls_is_started_again(call, servers, tmp_path):
    await call("echo", {"text": "1"})
    os.kill(int(lines(tmp_path / "starts")[0]), 9)
    (server,) = servers._servers.values()
    await until(lambda: server._connection.ended)
    assert await call("echo", {"text": "2"}) == "2"


@pytest.mark.parametrize(
    ("mode", "why"),
    [("crash", "exit code 7: cannot start"), ("future", "2099-01-01"), ("broken_list", "does not list its tools")],
)
async def test_a_server_that_cannot_be_used_is_unavailable(mode, why, failing, scripted):
    failure = await failing("echo", {"text": ""}, entry=scripted(mode))
    assert failure.code == "tool_unavailable"
    assert why in failure.message


async def test_a_command_that_is_not_there(failing):
    failure = await failing("x", entry={"command": ["/no/such/program"]})
    assert failure.code == "tool_unavailable"
    assert "/no/such/program: No such file" in failure.message


async def test_a_server_that_never_answers_the_handshake(failing, scripted, monkeypatch, tmp_path):
    monkeypatch.setattr(connection, "START_MS", 300)
    failure = await failing("echo", entry=scripted("mute"))
    assert failure.code == "tool_unavailable"
    assert "no handshake" in failure.message
    assert all(gone(int(pid)) for pid in lines(tmp_path / "starts"))


async def test_a_server_that_never_lists(failing, scripted, monkeypatch):
    monkeypatch.setattr(connection, "LIST_S", 0.2)
    assert "did not list" in (await failing("echo", entry=scripted("listless"))).message


async def test_a_list_without_end_is_not_read_to_its_end(failing, scripted):
    assert (await failing("echo", entry=scripted("pages"))).code == "tool_changed"


async def test_cancelling_a_call_tells_the_server_and_the_next_is_answered(call, tmp_path):
    await call("echo", {"text": "1"})
    task = asyncio.create_task(call("silent"))
    await until((tmp_path / "silent").exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await call("echo", {"text": "2"}) == "2"
    await until((tmp_path / "cancelled").exists)
    assert json.loads((tmp_path / "cancelled").read_text())["requestId"]
    assert len(lines(tmp_path / "starts")) == 1


async def test_cancelling_does_not_wait_for_a_server_that_reads_nothing(call, tmp_path):
    task = asyncio.create_task(call("deaf"))
    await until((tmp_path / "deaf").exists)
    task.cancel()
    async with asyncio.timeout(2):
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_caller_that_gives_up_leaves_the_start_to_the_next(call, tmp_path):
    task = asyncio.create_task(call("echo", {"text": "1"}))
    await until((tmp_path / "starts").exists)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await call("echo", {"text": "2"}) == "2"
    assert len(lines(tmp_path / "starts")) == 1


async def test_calls_at_once_share_one_server(call, tmp_path):
    assert await asyncio.gather(*(call("echo", {"text": str(n)}) for n in range(20))) == [str(n) for n in range(20)]
    assert len(lines(tmp_path / "starts")) == 1


async def test_progress_is_told_in_fractions_and_without_control_characters(call):
    told = []
    assert await call("progress", progress=lambda fraction, message: told.append((fraction, message))) == "done"
    assert told[:5] == [
        (0.25, "at [31m1"),
        (None, "at [31m2"),
        (None, "at [31m9"),
        (None, "at [31m3"),
        (1.0, "at [31m4"),
    ]


async def test_a_server_gets_what_is_declared_and_nothing_else(call, scripted, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-engine")
    entry = scripted(env={"LEVEL": "debug"}, credential="token", credential_env="API_TOKEN")
    found = await call("environment", entry=entry)
    env = found["env"]
    assert (env["LEVEL"], env["API_TOKEN"]) == ("debug", "s3cret-token-1234567890")
    assert set(env) <= {"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "LEVEL", "API_TOKEN"}
    assert found["cwd"] == str(tmp_path)
    assert "API_TOKEN" not in (await call("environment"))["env"]


async def test_a_credential_that_is_missing_is_told_before_anything_starts(failing, scripted, tmp_path):
    failure = await failing("echo", entry=scripted(credential="other", credential_env="X"))
    assert failure.code == "no_credential"
    assert not (tmp_path / "starts").exists()


async def test_requests_of_the_server_are_refused(call):
    assert "not supported" in await call("ask")


async def test_a_tool_that_is_not_what_was_pinned_is_not_called(call, failing, servers, scripted, tmp_path):
    pin = (await servers.offers("it", scripted()))["echo"].pin
    assert await call("echo", {"text": "1"}, pin=pin) == "1"
    failure = await failing("echo", {"text": "1"}, pin=pin, entry=scripted("changed"))
    assert failure.code == "tool_changed"
    assert lines(tmp_path / "calls") == ["echo"]


async def test_a_change_in_the_middle_of_a_session_is_noticed(call, failing, servers, scripted, tmp_path):
    offers = await servers.offers("it", scripted())
    await call("rug", pin=offers["rug"].pin)
    assert (await failing("echo", {"text": "1"}, pin=offers["echo"].pin)).code == "tool_changed"
    assert await call("structured", pin=offers["structured"].pin)
    assert lines(tmp_path / "calls") == ["rug", "structured"]


async def test_a_name_that_is_offered_twice_is_not_called(failing, servers, scripted):
    offers = await servers.offers("it", scripted("twice"))
    assert offers["echo"].code == "tool_changed"
    assert offers["fail"].inputs
    assert (await failing("echo", {"text": "1"}, pin="0" * 64, entry=scripted("twice"))).code == "tool_changed"


async def test_a_name_of_odd_characters_is_a_name(call, servers, scripted):
    offers = await servers.offers("it", scripted())
    assert offers["odd name! \u202e"].description == "ab"
    assert await call("odd name! \u202e") == "odd name! \u202e"


async def test_closing_ends_the_server_and_what_daemonised(call, servers):
    server, far = map(int, (await call("child")).split())
    await servers.close()
    await until(lambda: gone(server) and gone(far))
