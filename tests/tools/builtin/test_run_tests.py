import sys

import pytest

from clew.core.errors import Failure
from clew.gate.ports.tool import ToolContext
from clew.gate.schema import Validator
from clew.manifest.compiled import ToolPlan
from clew.sandbox.native import NativeBackend
from clew.tools.builtin import builtin

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def backend():
    backend = NativeBackend()
    if not backend.probe().usable:
        pytest.skip(backend.probe().reason)
    return backend


@pytest.fixture
def run(root, backend):
    async def call(config=None, **args):
        tool = builtin("run_tests", ToolPlan(type="builtin", config=config or {}))
        args = {"python": sys.executable, **args}
        Validator(tool.spec.inputs).check(args)
        result = await tool.call(args, ToolContext(project_dir=root, root=root, sandbox=backend))
        Validator(tool.spec.outputs).check(result)
        return result

    return call


@pytest.fixture
def repository(root):
    (root / "src" / "pkg").mkdir(parents=True)
    (root / "src" / "pkg" / "__init__.py").write_text("def double(x):\n    return x + x + 1\n")
    (root / "tests").mkdir()
    (root / "tests" / "test_double.py").write_text(
        "import socket\nimport asyncio\nimport pytest\nfrom pkg import double\n\n"
        "class TestDouble:\n    def test_bad(self):\n        assert double(2) == 4\n\n"
        "def test_good(tmp_path):\n    (tmp_path / 'x').write_text('x')\n    asyncio.run(asyncio.sleep(0))\n\n"
        "def test_no_network():\n    with pytest.raises(OSError):\n        socket.create_connection(('127.0.0.1', 1))\n\n"
        "@pytest.mark.skip(reason='later')\ndef test_later():\n    pass\n\n"
        "def test_broken(missing):\n    pass\n"
    )
    return root


async def test_reports_every_test(repository, run):
    result = await run()
    assert (result["passed"], result["failed"], result["errors"], result["skipped"]) == (2, 1, 1, 1), result
    assert result["rc"] == 1
    assert result["status"] == "OK"
    assert {test["id"]: test["outcome"] for test in result["tests"]} == {
        "tests/test_double.py::TestDouble::test_bad": "failed",
        "tests/test_double.py::test_broken": "error",
        "tests/test_double.py::test_good": "passed",
        "tests/test_double.py::test_no_network": "passed",
        "tests/test_double.py::test_later": "skipped",
    }
    assert "assert 5 == 4" in result["tests"][0]["message"]
    assert sorted(path.name for path in repository.iterdir()) == ["src", "tests"]


async def test_what_is_recorded(repository, run):
    first = await run(tests=["tests/test_double.py::test_good"])
    assert first["limits"]["wall_s"] == 300
    assert first["limits"]["cpu_s"] == 1200
    assert first["max_rss"] > 0
    assert first["cpu_ms"] > 0
    assert "network" in first["enforced"]
    assert (first["stdout_dropped"], first["output_dropped"]) == (0, 0)
    (repository / "link").symlink_to("src")
    (repository / ".git").mkdir()
    second = await run({"profile": "small"}, tests=["tests/test_double.py::test_good"], timeout=5)
    assert second["limits"]["memory"] == 128 * 1024 * 1024
    assert (second["limits"]["wall_s"], second["limits"]["cpu_s"]) == (5, 5)
    assert first["code_sha256"] != second["code_sha256"]
    (repository / "link").unlink()
    (repository / "tests" / "test_long.py").write_text("def test_long():\n    print('x' * 9000)\n    assert 0\n")
    third = await run(tests=["tests/test_long.py"])
    assert len(third["output"]) == 4000
    assert third["output_dropped"] > 5000
    (repository / "tests" / "test_long.py").unlink()
    assert (await run(tests=["tests/test_double.py::test_good"]))["code_sha256"] == first["code_sha256"]


async def test_a_profile_bounds_the_time(run):
    with pytest.raises(Failure, match="timeout"):
        await run({"profile": "small"}, timeout=11)


async def test_one_test(repository, run):
    result = await run(tests=["tests/test_double.py::test_good"])
    assert (result["passed"], result["rc"], len(result["tests"])) == (1, 0, 1)


async def test_hanging_suite_is_stopped(repository, run):
    (repository / "tests" / "test_hang.py").write_text("def test_hang():\n    while True: pass\n")
    result = await run(timeout=1.5, tests=["tests/test_hang.py"])
    assert result["status"] == "TIMEOUT"
    assert result["tests"] == []


async def test_nothing_to_run(root, run):
    result = await run()
    assert (result["rc"], result["tests"]) == (5, [])


async def test_suite_that_dies(root, run):
    (root / "test_die.py").write_text("import os\nos._exit(3)\n")
    with pytest.raises(Failure) as caught:
        await run()
    assert caught.value.code == "no_report"
    assert caught.value.details["rc"] == 3
    assert caught.value.details["code_sha256"]


async def test_refuses(root, run, backend):
    (root / "out").symlink_to("..")
    for args, code in (
        ({"path": ".."}, "outside_root"),
        ({"path": "out"}, "outside_root"),
        ({"path": "nope"}, "not_found"),
        ({"python": "/nope/bin/python"}, "usage"),
        ({"python": "relative"}, "invalid_arguments"),
        ({"tests": ["--version"]}, "invalid_arguments"),
    ):
        with pytest.raises(Failure) as caught:
            await run(**args)
        assert caught.value.code == code, args


async def test_without_a_sandbox_nothing_runs(root):
    with pytest.raises(Failure) as caught:
        await builtin("run_tests").call({}, ToolContext(project_dir=root, root=root))
    assert caught.value.code == "sandbox_unavailable"
