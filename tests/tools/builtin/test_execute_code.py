import asyncio
import hashlib
import shutil

import pytest

from clew.core.errors import Failure, UsageError
from clew.gate.ports.sandbox import ExecRequest, ExecResult
from clew.gate.ports.tool import ToolContext
from clew.gate.schema import Validator
from clew.manifest.compiled import ToolPlan
from clew.sandbox import languages
from clew.sandbox.native import NativeBackend
from clew.tools.builtin import builtin

SALES = "region,amount\nnorth,10\nsouth,5\nnorth,7\n"


@pytest.fixture(scope="module")
def backend():
    backend = NativeBackend()
    if not backend.probe().usable:
        pytest.skip(backend.probe().reason)
    return backend


@pytest.fixture
def execute(root):
    async def call(language, code, sandbox, config=None, progress=lambda *_: None, **args):
        made = builtin("execute_code", ToolPlan(type="builtin", config=config or {}), languages)
        args = {"language": language, "code": code, **args}
        Validator(made.spec.inputs).check(args)
        result = await made.call(args, ToolContext(project_dir=root, root=root, sandbox=sandbox, progress=progress))
        Validator(made.spec.outputs).check(result, code="invalid_output", what="result")
        return result

    return call


@pytest.mark.sandbox
class TestInASandbox:
    async def test_python_and_what_is_recorded(self, execute, backend):
        code = "import sys\nprint('hello')\nprint('oops', file=sys.stderr)\nsys.exit(3)\n"
        result = await execute("python", code, backend)
        assert (result["status"], result["rc"], result["stdout"], result["stderr"]) == ("OK", 3, "hello\n", "oops\n")
        assert result["code_sha256"] == hashlib.sha256(code.encode()).hexdigest()
        assert result["limits"]["wall_s"] == 30
        assert result["limits"]["memory"] == 512 * 1024 * 1024
        assert result["max_rss"] > 0
        assert "network" in result["enforced"]

    async def test_csv_in_python(self, execute, backend, root):
        (root / "data").mkdir()
        (root / "data" / "sales.csv").write_text(SALES)
        code = "import csv\nprint(sum(int(r['amount']) for r in csv.DictReader(open('data/sales.csv'))))"
        assert (await execute("python", code, backend, copy=["data/sales.csv"]))["stdout"] == "22\n"
        assert (await execute("python", code, backend, files={"data/sales.csv": SALES}))["stdout"] == "22\n"

    async def test_csv_in_sql(self, execute, backend, root):
        (root / "sales.csv").write_text(SALES)
        code = "SELECT region, sum(amount) AS total FROM sales GROUP BY region ORDER BY region; SELECT 1 AS one;"
        result = await execute("sql", code, backend, copy=["sales.csv"])
        assert result["rc"] == 0, result["stderr"]
        assert result["results"] == [
            {"columns": ["region", "total"], "rows": [["north", 17], ["south", 5]], "truncated": False},
            {"columns": ["one"], "rows": [[1]], "truncated": False},
        ]

    async def test_sql_that_fails_or_says_too_much(self, execute, backend):
        result = await execute("sql", "SELECT * FROM nowhere", backend)
        assert result["rc"] != 0
        assert "no such table" in result["stderr"]
        many = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 5000) SELECT x FROM c"
        result = await execute("sql", many, backend)
        assert (len(result["results"][0]["rows"]), result["results"][0]["truncated"]) == (1000, True)

    async def test_javascript(self, execute, backend):
        if shutil.which("node") is None:
            pytest.skip("no node")
        result = await execute("javascript", "console.log([1, 2].map(x => x * 2).join())", backend)
        assert result["stdout"] == "2,4\n", result

    async def test_limits(self, execute, backend):
        assert (await execute("python", "while True: pass", backend, timeout=0.5))["status"] == "TIMEOUT"
        assert (await execute("python", "while True: pass", backend, {"cpu_s": 1.0}))["status"] in (
            "CPU_LIMIT",
            "TIMEOUT",
        )
        result = await execute("python", "x = 'a' * 10**9\nprint(len(x))", backend, {"memory": 64 * 1024 * 1024})
        assert result["status"] == "MEM_LIMIT" or "MemoryError" in result["stderr"]
        result = await execute("python", "print('x' * 1_000_000)", backend)
        assert len(result["stdout"]) == 128 * 1024
        assert result["stdout_dropped"] == 1_000_001 - 128 * 1024

    async def test_nothing_of_the_host(self, execute, backend, root):
        (root / "secret.txt").write_text("secret")
        code = f"import os, socket\nprint(os.path.exists({str(root)!r}))\nsocket.create_connection(('127.0.0.1', 1))"
        result = await execute("python", code, backend)
        assert result["stdout"] == "False\n"
        assert result["rc"] != 0

    async def test_cancel(self, execute, backend):
        running = asyncio.Event()

        def progress(fraction, message):
            if message.startswith("running"):
                running.set()

        task = asyncio.create_task(execute("python", "while True: pass", backend, progress=progress))
        await running.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


class Fake:
    """A sandbox that gives one answer."""

    def __init__(self, **fields):
        self.result = ExecResult(**{"status": "OK", "rc": 0, **fields})
        self.put_files = {}
        self.closed = False

    def acquire(self, profile):
        self.profile = profile
        return self

    def put(self, path, data):
        if ".." in path:
            raise UsageError("leads out of the workspace", code="outside_root")
        self.put_files[path] = data

    async def execute(self, request):
        assert isinstance(request, ExecRequest)
        return self.result

    def close(self):
        self.closed = True


async def code_of(awaitable):
    with pytest.raises(Failure) as caught:
        await awaitable
    return caught.value.code


async def test_profiles(execute):
    for config, expected in (
        ({}, (30, 20, 512, 32)),
        ({"profile": "small"}, (10, 10, 128, 16)),
        ({"profile": "large", "cpu_s": 60}, (300, 60, 2048, 256)),
    ):
        fake = Fake()
        limits = (await execute("python", "1", fake, config))["limits"]
        assert (limits["wall_s"], limits["cpu_s"], limits["memory"] // 2**20, limits["processes"]) == expected
        assert limits["output"] == 128 * 1024
        assert fake.profile.wall_s == limits["wall_s"]
    with pytest.raises(UsageError, match="profile"):
        await execute("python", "1", Fake(), {"profile": "huge"})


async def test_refuses(execute, root, monkeypatch):
    (root / "out").symlink_to("..")
    fake = Fake()
    assert await code_of(execute("python", "1", None)) == "sandbox_unavailable"
    assert await code_of(execute("cobol", "1", fake)) == "invalid_arguments"
    assert await code_of(execute("javascript", "1", fake, {"languages": ["python"]})) == "invalid_arguments"
    assert await code_of(execute("python", "", fake)) == "invalid_arguments"
    assert await code_of(execute("python", "1", fake, timeout=31)) == "invalid_arguments"
    assert await code_of(execute("python", "\ud800", fake)) == "invalid_arguments"
    assert await code_of(execute("python", "1", fake, copy=["../secret"])) == "outside_root"
    assert await code_of(execute("python", "1", fake, copy=["out/secret"])) == "outside_root"
    assert await code_of(execute("python", "1", fake, copy=["nope"])) == "not_found"
    assert await code_of(execute("python", "1", fake, files={"../x": ""})) == "outside_root"
    assert fake.closed
    monkeypatch.setattr("clew.tools.builtin.execute_code._TOTAL_LIMIT", 1)
    assert await code_of(execute("python", "1", fake, files={"a": "xx"})) == "too_large"


async def test_a_language_that_is_not_there(execute, monkeypatch):
    def missing(language):
        raise Failure("no node", code="language_unavailable")

    monkeypatch.setattr(languages, "mounts", missing)
    assert await code_of(execute("javascript", "1", Fake())) == "language_unavailable"


async def test_a_sandbox_that_fails(execute):
    fake = Fake(status="INTERNAL_ERROR", rc=None, reason="broken")
    assert await code_of(execute("python", "1", fake)) == "sandbox_failed"
    assert fake.closed


async def test_limits_are_declared(execute):
    fake = Fake(stdout=b'[0]\n{"columns": ["a"]}\n[1]\n[2')
    result = await execute("sql", "1", fake, {"wall_s": 5, "cpu_s": 2, "memory": 64 * 1024 * 1024}, timeout=3)
    assert (fake.profile.wall_s, fake.profile.cpu_s, fake.profile.memory) == (3, 2, 64 * 1024 * 1024)
    assert result["results"] == [{"columns": ["a"], "rows": [[1]], "truncated": False}]


async def test_without_languages(root):
    made = builtin("execute_code")
    context = ToolContext(project_dir=root, root=root, sandbox=Fake())
    assert await code_of(made.call({"language": "python", "code": "1"}, context)) == "sandbox_unavailable"


@pytest.mark.parametrize(
    "config", [{"languages": []}, {"languages": ["cobol"]}, {"wall_s": 0}, {"memory": 1}, {"output": 1}]
)
def test_declarations_that_cannot_be(config):
    with pytest.raises(UsageError, match="execute_code"):
        builtin("execute_code", ToolPlan(type="builtin", config=config))
