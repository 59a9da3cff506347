import asyncio
import json
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from clew.core.errors import Failure
from clew.gate.ports.tool import ToolContext
from clew.gate.schema import Validator
from clew.manifest.compiled import Permissions, ToolPlan
from clew.tools.builtin import builtin


@pytest.fixture
def root(tmp_path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("secret\n")
    return root


@pytest.fixture
def use(root):
    """Call a built-in tool as the driver does: arguments checked first, the result against its schema after."""

    async def call(tool: str, **args):
        made = builtin(tool)
        Validator(made.spec.inputs).check(args)
        result = await made.call(args, ToolContext(project_dir=root, root=root))
        Validator(made.spec.outputs).check(result, code="invalid_output", what="result")
        return result

    return call


@pytest.fixture
def refused(use):
    """The code with which a call fails."""

    async def call(tool: str, **args) -> str:
        with pytest.raises(Failure) as caught:
            await use(tool, **args)
        assert str(caught.value)
        return caught.value.code

    return call


class Site:
    """A web server on the loopback. ``answer(method, path, headers, body)`` gives bytes, or (status, JSON, headers)."""

    def __init__(self):
        self.asked = []
        self.answer = lambda *request: (200, {})
        self.hangs = False
        self.left = asyncio.Event()
        """Set when a connection that hangs was closed by the other side."""

    async def open(self, tls=None):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"

    async def close(self):
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ")
            headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.asked.append((method, path, headers, body))
            if self.hangs:
                await reader.read()
                self.left.set()
                return
            writer.write(as_bytes(self.answer(method, path, headers, body)))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()


def as_bytes(answer):
    if isinstance(answer, bytes):
        return answer
    status, content, *more = answer
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    headers = {"Content-Type": "application/json; charset=utf-8", "Content-Length": len(body), **dict(*more)}
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


@pytest.fixture
async def site():
    made = Site()
    await made.open()
    yield made
    await made.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """(certificate, key) of a server at 127.0.0.1 that nobody vouches for."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    cert, key = (tmp_path_factory.mktemp("tls") / name for name in ("cert.pem", "key.pem"))
    options = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(
        ["openssl", "req", *options.split(), *names, "-keyout", key, "-out", cert], check=True, capture_output=True
    )
    return cert, key


@pytest.fixture
async def secure_site(certificate):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    made = Site()
    await made.open(tls)
    yield made
    await made.close()


class Keys:
    """Secrets of a test."""

    def __init__(self, **values):
        self._values = values

    def value(self, credential):
        if credential not in self._values:
            raise Failure(f"no credential {credential!r}", code="no_credential")
        return self._values[credential]

    def known(self):
        return list(self._values.values())


@pytest.fixture
def keys():
    return Keys(key="s3cret-token-of-a-test")


@pytest.fixture
def ask(root, keys):
    """Call a tool that is made from its declaration, as the driver does."""

    async def call(tool, config, args, *, key="run:key", network=True, **context):
        made = builtin(tool, ToolPlan(type="builtin", config=config, permissions=Permissions(network=network)))
        Validator(made.spec.inputs).check(args)
        where = {"project_dir": root, "root": root, "secrets": keys, "idempotency_key": key, **context}
        result = await made.call(args, ToolContext(**where))
        Validator(made.spec.outputs).check(result, code="invalid_output", what="result")
        return result

    return call
