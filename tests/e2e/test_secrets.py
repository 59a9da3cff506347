"""G7: a secret in the environment, in a file or in a header goes to its provider and nowhere else, in a run with failures."""

import asyncio
import base64
import gzip
import json
import logging
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from clew.gate.ports.stream import Chunk
from clew.policies.redact import MASK, forms
from clew.service.bundles import export_run
from clew.service.engine import open_project
from clew.service.traces import export_traces
from clew.testing import write_project
from clew.testing.provider import Call, FakeProvider, Seen, Step

pytestmark = pytest.mark.slow

VARIABLE = "TEST_SECRETS_ENV_KEY"
IN_ENVIRONMENT = "env-Zq7/w+xY%3&k9.sesame"
IN_FILE = 'file-"quoted\\slash"/open~42'
UNDER_A_KEY = "AIza-not-really-but-<looks>-so"
SECRETS = (IN_ENVIRONMENT, IN_FILE, UNDER_A_KEY)
BEARERS = {"authorization": "Bearer ", "x-api-key": "", "x-goog-api-key": ""}

MANIFEST = """
workflow:
  id: secretive
  nodes:
    - {{id: start, kind: deterministic, role: start}}
    - {{id: probe, kind: deterministic, role: linear, handler: "handlers:probe",
       tools: [read_file, run_tests, leaky]}}
    - {{id: child, kind: deterministic, role: linear, handler: "handlers:surroundings", isolation: process}}
    - {{id: ask, kind: agent, role: linear, agent: asker, continue_on_failure: true}}
    - {{id: done, kind: deterministic, role: exit}}
  edges: [{{from: start, to: probe}}, {{from: probe, to: child}}, {{from: child, to: ask}}, {{from: ask, to: done}}]
providers:
  - {{id: chat, type: openai_compatible, base_url: "{url}/v1", credential: env_key, timeout: 20s}}
  - {{id: claude, type: anthropic, base_url: "{url}", credential: file_key, timeout: 20s}}
  - {{id: gem, type: gemini, base_url: "{url}", credential: keyed, timeout: 20s}}
  - {{id: gone, type: openai_compatible, base_url: "{url}/v1", credential: missing}}
models:
  any: {{use: [chat/m, claude/m, gem/m]}}
provider_credentials:
  - {{id: env_key, auth: {{source: env, env_var: TEST_SECRETS_ENV_KEY}}}}
  - {{id: file_key, auth: {{source: file, file_path: key.txt}}}}
  - {{id: keyed, auth: {{source: file, file_path: keys.json, file_key: services.gem}}}}
  - {{id: missing, auth: {{source: file, file_path: open.txt}}}}
agents:
  - {{id: asker, model: any, instructions: "Answer.", tools: [leaky]}}
tools:
  - {{id: read_file, type: builtin}}
  - {{id: run_tests, type: builtin}}
  - {{id: leaky, handler: "handlers:leaky", inputs: {{type: object, properties: {{q: {{type: string}}}}}}, repeat_safe: true}}
"""

HANDLERS = """
import os
from pathlib import Path

from clew.core.errors import Failure

HERE = Path(__file__).parent


def leaky(args, context):
    raise RuntimeError(f"no luck with {os.environ['TEST_SECRETS_ENV_KEY']} and {(HERE / 'key.txt').read_text()}")


def leak():
    return {"environment": dict(os.environ), (HERE / "key.txt").read_text(): (HERE / "keys.json").read_text()}


async def trying(work, said):
    try:
        said.append(await work)
    except Failure as failure:
        said.append([failure.code, str(failure), failure.details])


async def probe(value, ctx):
    said = []
    for model in ("chat/m", "claude/m", "gem/m", "gone/m"):
        for _ in range(4):
            await trying(ctx.model(model, [{"role": "user", "content": f"so far: {said}"}]), said)
    for file in ("key.txt", "keys.json"):
        await trying(ctx.call("read_file", {"path": file}), said)
    await trying(ctx.call("leaky", {"q": "?"}), said)
    await trying(ctx.effect("leak", leak), said)
    tests = await ctx.call("run_tests", {})
    said.append(tests)
    await trying(ctx.model("any", [{"role": "user", "content": f"in the end: {said}"}]), said)
    return said


def surroundings(value, ctx):
    return {"said": value, "environment": dict(os.environ)}
"""

SANDBOXED = """
import os
from pathlib import Path


def test_environment():
    seen = [str(dict(os.environ))]
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("environ", "cmdline"):
            try:
                seen.append((process / name).read_text())
            except OSError:
                pass
    raise AssertionError("looked around: " + " ".join(seen))
"""


def echo(seen: Seen) -> str:
    """The header in every way that a server could repeat it."""
    name, prefix = next((n, p) for n, p in BEARERS.items() if n in seen.headers)
    sent = seen.headers[name]
    key = sent.removeprefix(prefix)
    ways = [sent, key, json.dumps(json.dumps(sent)), quote(key, safe=""), base64.b64encode(sent.encode()).decode()]
    ways += [base64.b64encode(f"user:{key}".encode()).decode(), base64.urlsafe_b64encode(key.encode()).decode()]
    return " | ".join(ways)


class Echoing:
    """Four answers for each provider: refused, malformed, said, and broken; after that it is asked by the agent."""

    def __init__(self) -> None:
        self.count: Counter[str | None] = Counter()

    def __call__(self, seen: Seen) -> Step:
        said = echo(seen)
        self.count[seen.api] += 1
        match self.count[seen.api]:
            case 1:
                error = {"error": {"message": f"bad key {said}", "type": "authentication_error", "status": said}}
                return Step(status=401, body=error, headers={"x-echo": " ".join(seen.headers.values())})
            case 2:
                return Step(reasoning=f"I was given {said}", text=f"my header was {said}.", chunk=3)
            case 3:
                return Step(status=400, body=f"<html>{said}</html>")
            case 4:
                return Step(text=said, chunk=2, cut=6)
            case 5:
                return Step(text=f"again {said}", calls=(Call("leaky", {"q": said}),), chunk=4)
            case n if n < 8:
                return Step(status=401, body={"error": said})
            case _:
                return Step(text=f"at last {said}", chunk=5)


class Collector:
    """Takes traces, and keeps them as they came, unpacked."""

    def __init__(self) -> None:
        bodies = self.bodies = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                bodies.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    one = Collector()
    yield one
    one.close()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A project whose providers are at an address, with its secrets in their places."""
    monkeypatch.setenv(VARIABLE, IN_ENVIRONMENT)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def make(url: str) -> Path:
        directory = write_project(tmp_path / "project", MANIFEST.format(url=url), HANDLERS, test_it=SANDBOXED)
        keys = {
            "key.txt": IN_FILE + "\n",
            "keys.json": json.dumps({"services": {"gem": UNDER_A_KEY}}),
            "open.txt": "x" * 9,
        }
        for name, text in keys.items():
            (directory / name).write_text(text)
            (directory / name).chmod(0o644 if name == "open.txt" else 0o600)
        return directory

    return make


NEEDLES = {
    form[at : at + max(10, len(form) // 2)]
    for secret in SECRETS
    for form in forms(secret)
    for at in (0, len(form) // 2)
}
"""Half a secret, in whatever form, is found as well as a whole one."""


def leaks(what: str, data: bytes | str) -> list[str]:
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    return [
        f"{needle!r} in {what}: …{text[max(0, text.find(needle) - 80) :][:200]}…"
        for needle in NEEDLES
        if needle in text
    ]


async def test_a_secret_goes_to_its_provider_and_nowhere_else(place, tmp_path, caplog, capfd, collector):
    caplog.set_level(logging.DEBUG)
    state = tmp_path / "state"
    found: list[str] = []
    async with FakeProvider(script=Echoing()) as fake:
        async with open_project(place(fake.url), state) as engine:
            handle = await engine.start({})
            heard: list[str] = []
            async for item in handle.stream():
                if isinstance(item, Chunk):
                    heard.append(item.text)
            result = await handle.result()
            shown = repr(result) + str(result.history)
            await export_run(engine.workspace, result.run_id, tmp_path / "whole.gz")
            await export_run(engine.workspace, result.run_id, tmp_path / "less.gz", redacted=True)
            await export_traces(engine.workspace, result.run_id, collector.url)
            for path in state.rglob("*"):  # the write-ahead log is there while the journal is open
                if path.is_file():
                    found += leaks(str(path.relative_to(state)), path.read_bytes())
            assert (state / "journal.db-wal").stat().st_size > 0
        sent = {value for seen in fake.seen for value in seen.headers.values()}
        assert {f"Bearer {IN_ENVIRONMENT}", IN_FILE, UNDER_A_KEY} <= sent
        for seen in fake.seen:
            found += leaks(f"prompt {seen.number} {seen.path}", seen.path.encode() + seen.raw)
    found += leaks("the closed journal", b"".join(p.read_bytes() for p in state.rglob("*") if p.is_file()))
    found += leaks("the result", shown) + leaks("what was streamed", "".join(heard))
    found += leaks("the export", gzip.decompress((tmp_path / "whole.gz").read_bytes()))
    found += leaks("the redacted export", gzip.decompress((tmp_path / "less.gz").read_bytes()))
    found += leaks("traces", b"".join(collector.bodies))
    found += leaks("logs", caplog.text + "".join(str(vars(record)) for record in caplog.records))
    out, err = capfd.readouterr()
    found += leaks("stdout and stderr", out + err)
    assert not found, "\n".join(found)
    codes = {
        code for code in ("unauthorised", "invalid_request", "bad_answer", "no_credential") if f"'{code}'" in shown
    }
    assert codes == {"unauthorised", "invalid_request", "bad_answer", "no_credential"}
    assert "looked around" in shown
    assert shown.count(MASK) > 20
    assert "".join(heard).count(MASK) > 5
    assert len(collector.bodies) > 0


SLIPS = """

async def slips(value, ctx):
    secret = os.environ["TEST_SECRETS_ENV_KEY"]
    ctx.log("with " + secret, key=secret)
    try:
        await ctx.model("chat/m", [{"role": "user", "content": "use " + secret}])
    except Failure as failure:
        return [str(failure), secret]


async def fails(value, ctx):
    raise RuntimeError("no luck with " + os.environ["TEST_SECRETS_ENV_KEY"])
"""


async def test_what_a_handler_lets_slip_is_removed(place, tmp_path, caplog, capfd):
    """Also what a server's long words would have cut a secret off in the middle of."""
    caplog.set_level(logging.DEBUG)
    state = tmp_path / "state"
    found: list[str] = []

    def refuse(seen: Seen) -> Step:
        sent = base64.b64encode(seen.headers["authorization"].encode()).decode()
        return Step(status=401, body={"error": {"message": f"{'x' * 470} {sent}"}})

    async with FakeProvider(script=refuse) as fake:
        project = place(fake.url)
        (project / "handlers.py").write_text(HANDLERS + SLIPS)
        manifest = (project / "clew.yaml").read_text()
        for before, after in (("probe", "slips"), ("surroundings", "fails")):
            manifest = manifest.replace(f"handlers:{before}", f"handlers:{after}")
        (project / "clew.yaml").write_text(manifest)
        async with open_project(project, state) as engine:
            result = await engine.run({})
        for seen in fake.seen:
            found += leaks("prompt", seen.raw)
    found += leaks("the journal", b"".join(p.read_bytes() for p in state.rglob("*") if p.is_file()))
    found += leaks("the result", repr(result) + str(result.history))
    found += leaks("logs", caplog.text + "".join(str(vars(record)) for record in caplog.records))
    found += leaks("stdout and stderr", "".join(capfd.readouterr()))
    assert not found, "\n".join(found)
    assert str(result.history).count(MASK) >= 5


async def test_the_command_line_shows_none_either(place, tmp_path):
    state = tmp_path / "state"
    async with FakeProvider(script=Echoing()) as fake:
        project = place(fake.url)

        def clew(*args: object) -> str:
            command = [sys.executable, "-m", "clew.cli", "--state", str(state), *map(str, args)]
            done = subprocess.run(
                command, capture_output=True, text=True, env=os.environ | {"CLEW_LOG": "debug"}, timeout=120
            )
            return f"{done.stdout}\n{done.stderr}"

        shown = [await asyncio.to_thread(clew, "run", project, "--input", "{}", "--watch")]
        for args in (("show",), ("show", "--json"), ("tail", "--json"), ("run", project, "--input", "{}", "--json")):
            shown.append(await asyncio.to_thread(clew, *args))
    found = [leak for text in shown for leak in leaks("output", text)]
    assert not found, "\n".join(found)
    assert MASK in shown[1]
