import asyncio
import json
import signal
import sys

import pytest

SCRIPTS = {
    "steps.json": json.dumps([{"text": "from a list", "usage": {"input_tokens": 3}}]),
    "steps.py": (
        "from clew.testing.provider import Step\n\n\n"
        "def answer(seen):\n    return Step(text=f'from {seen.body[\"model\"]}')\n"
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_process_of_its_own(call, tmp_path, name):
    script, port_file, log = tmp_path / name, tmp_path / "port", tmp_path / "log"
    script.write_text(SCRIPTS[name])
    options = ["--script", str(script), "--port-file", str(port_file), "--log", str(log), "--repeat"]
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-m", "clew.testing.provider", *options, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(20):
            while not port_file.exists():
                assert server.returncode is None, await server.stderr.read()
                await asyncio.sleep(0.01)
        port = int(port_file.read_text())
        replies = [await call(port, "chat") for _ in range(2)]
    finally:
        server.send_signal(signal.SIGTERM)
        _, errors = await server.communicate()
    said = [reply.json["choices"][0]["message"]["content"] for reply in replies]
    assert said == (["from m"] * 2 if name.endswith(".py") else ["from a list"] * 2)
    assert [json.loads(line)["number"] for line in log.read_text().splitlines()] == [1, 2]
    assert (server.returncode, errors) == (0, b"")


@pytest.mark.parametrize("script", [None, "[{}", '{"text": "x"}'])
async def test_what_cannot_be_served_is_said_without_a_traceback(tmp_path, script):
    file = tmp_path / "script.json"
    if script is not None:
        file.write_text(script)
    options = ["--script", str(file), "--port-file", str(tmp_path / "port")]
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "clew.testing.provider", *options, stderr=asyncio.subprocess.PIPE
    )
    _, said = await server.communicate()
    assert server.returncode == 2
    assert b"error: " in said
    assert b"Traceback" not in said
