"""MCP entries of the tools section, and the lock that they need."""

import json

import pytest

from clew.core.identity import digest
from clew.manifest.pins import Lock, Pin, decode_lock, encode_lock
from clew.manifest.plan import check, load

SERVER = digest([["srv"], None])
INPUTS = {"type": "object", "properties": {"path": {"type": "string"}}}


def pin(name, **fields):
    return Pin(server=SERVER, name=name, pin="p" * 64, description=f"does {name}", inputs=INPUTS, **fields)


@pytest.fixture
def project(write, workflow, handlers):
    def made(tools, lock=None, **more):
        files = {"workflow.yaml": workflow, "handlers.py": handlers, "tools.yaml": tools, **more}
        if lock is not None:
            files["mcp.lock"] = lock if isinstance(lock, bytes) else encode_lock(Lock(tools=lock))
        return write(files)

    return made


@pytest.fixture
def problems(project):
    return lambda *args, **more: [str(problem) for problem in check(project(*args, **more))]


def test_several_tools_of_one_server(project):
    lock = {
        "files.read": pin("read", outputs={"type": "object"}),
        "files.list": pin("list"),
        "files.other": pin("other"),
    }
    plan = load(project("- {id: files, server: {command: [srv]}, tools: [read, list], risk: high}", lock))
    assert set(plan.tools) == {"files.read", "files.list"}
    read = plan.tools["files.read"]
    assert (read.type, read.name, read.pin, read.description) == ("mcp", "read", "p" * 64, "does read")
    assert (read.inputs, read.outputs, read.risk) == (INPUTS, {"type": "object"}, "high")
    assert "mcp.lock" in plan.files


def test_one_tool_under_a_name_of_its_own(project):
    lock = {"reader": pin("read me!")}
    plan = load(project("- {id: reader, name: 'read me!', server: {command: [srv]}, description: mine}", lock))
    assert (plan.tools["reader"].name, plan.tools["reader"].description) == ("read me!", "mine")


def test_one_that_the_project_describes_needs_no_pin(project):
    root = project("- {id: read, server: {command: [srv]}, inputs: {type: object}}")
    assert check(root) == []
    tool = load(root).tools["read"]
    assert (tool.name, tool.pin, tool.inputs) == ("read", None, {"type": "object"})


def test_a_change_of_the_lock_is_another_plan(project):
    tools = "- {id: read, server: {command: [srv]}}"
    first = load(project(tools, {"read": pin("read")})).digest
    other = Pin(server=SERVER, name="read", pin="q" * 64, description="", inputs=INPUTS)
    assert load(project(tools, {"read": other})).digest != first


def test_agents_and_nodes_name_tools_by_their_whole_id(problems):
    tools = "- {id: files, server: {command: [srv]}, tools: [read]}"
    more = {
        "providers.yaml": "- {id: local, type: offline}",
        "agents.yaml": "- {id: a, model: local/x, tools: [files.read]}\n- {id: b, model: local/x, tools: [files]}",
    }
    (found,) = problems(tools, {"files.read": pin("read")}, **more)
    assert found.startswith(
        'agents.yaml:2:35: agents[1].tools[0]: found "files", expected a tool of the tools section: "files.read"'
    )


@pytest.mark.parametrize(
    "lock",
    [
        None,
        {},
        {"files.read": Pin(server="other", name="read", pin="p", description="", inputs={})},
        {"files.read": pin("write")},
    ],
)
def test_what_is_not_pinned_is_told_where_it_stands(lock, problems):
    (found,) = problems("- {id: files, server: {command: [srv]}, tools: [read]}", lock)
    assert found.startswith("tools.yaml:1:49: tools[0].tools[0]: mcp.lock ")
    assert "clew pin" in found


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"version": 1, "tools": {"x": {}}}', b"\xff", b"[" * 100_000, b'{"a": 1}']
)
def test_a_lock_that_cannot_be_read(data, problems):
    first, *_ = problems("- {id: read, server: {command: [srv]}}", data)
    assert "mcp.lock" in first


@pytest.mark.parametrize(
    ("tools", "found"),
    [
        ("{id: a, server: {url: 'ftp://x'}, inputs: {}}", "tools[0].server.url"),
        ("{id: a, server: {url: 'http://x', env: {A: b}}, inputs: {}}", "tools[0].server.env"),
        ("{id: a, server: {url: 'http://x', credential_env: A}, inputs: {}}", "tools[0].server.credential_env"),
        ("{id: a, server: {command: [x], credential_env: A}, inputs: {}}", '"credential" is missing'),
        ("{id: a, type: builtin, tools: [b]}", "tools[0].tools"),
        ("{id: a, type: builtin, name: b}", "tools[0].name"),
        ("{id: a, server: {command: [srv]}, tools: [b], inputs: {}}", "tools[0].inputs"),
        ("{id: a, server: {command: [srv]}, tools: [b], name: c}", "tools[0].name"),
        ("{id: a, server: {command: [srv]}, tools: [b, b]}", "given twice"),
        ("{id: a, server: {command: [srv]}, tools: [b]}\n- {id: a.b, handler: 'handlers:lookup'}", "given twice"),
        ("{id: a, server: {command: [srv]}, tools: ['b c']}", "tools[0].tools[0]"),
        ("{id: a, server: {command: [srv]}, tools: []}", "tools[0].tools"),
    ],
)
def test_what_does_not_belong_together(tools, found, problems):
    told = problems(f"- {tools}", {"a.b": pin("b")})
    assert [line for line in told if found in line]


def test_nothing_in_a_lock_cannot_be_seen():
    lock = Lock(tools={"a": pin("x\u202e\u200b")})
    assert encode_lock(lock).isascii()
    assert decode_lock(encode_lock(lock)) == lock
    assert json.loads(encode_lock(lock))["tools"]["a"]["name"] == "x\u202e\u200b"
