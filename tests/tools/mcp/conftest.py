import sys
from pathlib import Path

import pytest

from clew.core.errors import Failure
from clew.gate.ports.tool import ToolContext, ToolSpec
from clew.runtime.clock import SystemClock
from clew.tools.mcp import McpServers, server

SCRIPTED = Path(__file__).with_name("scripted.py")


class GivenSecrets:
    def __init__(self, **values):
        self.values = values

    def value(self, credential):
        if credential not in self.values:
            raise Failure(f"no credential {credential!r}", code="no_credential")
        return self.values[credential]

    def known(self):
        return tuple(self.values.values())


@pytest.fixture
def secrets():
    return GivenSecrets(token="s3cret-token-1234567890")


@pytest.fixture
async def servers(tmp_path, secrets, monkeypatch):
    monkeypatch.setattr(server, "FIRST_MS", 10)
    made = McpServers(tmp_path, secrets, SystemClock())
    yield made
    await made.close()


@pytest.fixture
def scripted():
    """What the manifest says of the scripted server, in one of its modes."""

    def entry(mode="well", **fields):
        return {"command": [sys.executable, "-S", str(SCRIPTED), mode], **fields}

    return entry


@pytest.fixture
def call(servers, scripted, tmp_path):
    """Call one tool of a server, by default the scripted one, as the driver does."""

    async def made(tool, args=None, *, entry=None, pin=None, repeat=False, progress=None):
        spec = ToolSpec(id=f"it.{tool}", description="", inputs={"type": "object"})
        told = {"progress": progress} if progress else {}
        context = ToolContext(project_dir=tmp_path, root=tmp_path, idempotency_key="run:key", **told)
        one = servers.tool(spec, entry or scripted(), tool, pin=pin, repeat=repeat)
        return await one.call(args or {}, context)

    return made


@pytest.fixture
def failing(call):
    async def made(*args, **kwargs):
        with pytest.raises(Failure) as caught:
            await call(*args, **kwargs)
        return caught.value

    return made
