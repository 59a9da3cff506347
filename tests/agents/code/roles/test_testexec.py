"""Tests of a repository, run and told: outcomes, limits, what is demanded, and what hostile tests leave behind."""

import pytest

from clew.agents.code.roles import testexec
from clew.core.errors import Failure

SUITE = {
    "src/sums.py": "def total(values):\n    return sum(values)\n",
    "src/other.py": "X = 1\n",
    "tests/test_sums.py": """\
        import pytest
        from sums import total

        def test_right():
            print("said aloud")
            assert total([1, 2]) == 3

        def test_wrong():
            assert total([1]) == 2, "a message"

        @pytest.mark.skip
        def test_left_out():
            pass

        @pytest.fixture
        def broken():
            raise OSError("no fixture")

        def test_error(broken):
            pass
        """,
    "tests/test_fine.py": "def test_fine():\n    pass\n",
}


@pytest.fixture
def run(repo, seat, python):
    async def perform(files=SUITE, **payload):
        return await testexec.work({"repo": str(repo(files)), "python": python, **payload}, seat())

    return perform


async def test_outcomes(run):
    ran = await run()
    assert (ran["status"], ran["rc"], ran["ok"], ran["method"]) == ("OK", 1, False, "offline")
    assert ran["counts"] == {"failed": 1, "error": 1, "passed": 2, "skipped": 1}
    assert [test["outcome"] for test in ran["tests"]] == ["failed", "error", "passed", "passed", "skipped"]
    wrong = ran["tests"][0]
    assert wrong["id"] == "tests/test_sums.py::test_wrong"
    assert "a message" in wrong["message"]
    assert "assert 1 == 2" in wrong["detail"]
    assert "a message" in testexec.error_log(ran)
    assert "2 failed" not in ran["stdout"]
    assert "1 failed, 2 passed, 1 skipped, 1 error" in ran["stdout"]


@pytest.mark.parametrize(
    ("chosen", "ids"),
    [
        ({"tests": ["tests/test_sums.py::test_right"]}, ["test_right"]),
        ({"target": "tests/test_fine.py"}, ["test_fine"]),
        ({"target": "src/sums.py"}, ["test_wrong", "test_error", "test_right", "test_left_out"]),
        ({"target": "src/other.py", "tests": ["tests/test_fine.py"]}, ["test_fine"]),
    ],
)
async def test_what_is_run(run, chosen, ids):
    ran = await run(**chosen)
    assert [test["id"].rpartition("::")[2] for test in ran["tests"]] == ids


async def test_success_that_was_demanded(run):
    ran = await run(target="tests/test_fine.py", mustPass=True)
    assert ran["ok"]
    with pytest.raises(Failure, match=r"2 tests do not pass: tests/test_sums.py::test_wrong") as failed:
        await run(mustPass=True)
    assert failed.value.code == "TestFailure"
    assert failed.value.details["rc"] == 1
    with pytest.raises(Failure, match="no test passed"):
        await run(target="src", mustPass=True)


async def test_changes_are_laid_over(run, repo):
    changed = {"src/sums.py": "def total(values):\n    return len(values) + 1\n"}
    ran = await run(changes=changed, tests=["tests/test_sums.py::test_wrong"])
    assert ran["ok"]
    assert "sum(values)" in (repo({}) / "src/sums.py").read_text()


async def test_a_suite_that_cannot_be_collected(run):
    ran = await run({"test_a.py": "import nothing_of_that_name\n", "test_b.py": "def test_b():\n    pass\n"})
    assert not ran["ok"]
    assert ran["tests"][0]["outcome"] == "error"
    assert "nothing_of_that_name" in testexec.error_log(ran)


@pytest.mark.parametrize("path", ["/etc/passwd", "../other", "a/../../b"])
async def test_paths_stay_inside(run, path):
    for chosen in ({"target": path}, {"tests": [f"{path}::test"]}, {"changes": {path: ""}}):
        with pytest.raises(Failure) as failed:
            await run(**chosen)
        assert failed.value.code == "outside_root"


async def test_a_report_that_tests_wrote_into(run):
    ran = await run(
        {
            "test_liar.py": """\
                from pathlib import Path

                def test_liar():
                    with Path(".clew-run/report.jsonl").open("a") as file:
                        file.write('not json\\n[1]\\n{"id": 7}\\n{"id": "x", "outcome": "splendid"}\\n')
                """
        }
    )
    assert [test["id"] for test in ran["tests"]] == ["test_liar.py::test_liar"]


@pytest.mark.parametrize("payload", [{"mode": "guess"}, {"repo": 7}, {"tests": "all"}, {"timeout": "soon"}])
async def test_payloads_that_are_wrong(seat, payload):
    with pytest.raises(Failure) as failed:
        await testexec.work(payload, seat())
    assert failed.value.code == "invalid_payload"


async def test_a_repository_that_is_not_there(seat, tmp_path):
    with pytest.raises(Failure) as failed:
        await testexec.work({"repo": str(tmp_path / "nowhere")}, seat())
    assert failed.value.code == "no_repository"


@pytest.mark.sandbox
@pytest.mark.slow
async def test_limits_in_the_real_sandbox(repo, python):
    from clew.agents.code.roles.seat import Bench, Seat
    from clew.sandbox.default import default

    files = {
        "test_a.py": "def test_a():\n    pass\n",
        "test_loop.py": "def test_loop():\n    while True:\n        pass\n",
        "test_memory.py": "def test_memory():\n    assert bytearray(1 << 30)\n",
        "test_network.py": "import socket\ndef test_network():\n    socket.create_connection(('192.0.2.1', 9), 1)\n",
    }

    class Direct:
        async def effect(self, name, fn, *args, repeat_safe=False):
            return await fn(*args)

    where, seat = {"repo": str(repo(files)), "python": python}, Seat(Direct(), default(), Bench(None, None, {}))
    ran = await testexec.work({**where, "timeout": 3, "tests": ["test_a.py", "test_loop.py"]}, seat)
    assert ran["status"] in ("TIMEOUT", "CPU_LIMIT")
    assert ran["counts"] == {"interrupted": 1, "passed": 1}
    assert ran["status"] in testexec.error_log(ran)
    assert ran["cmd"]
    assert ran["enforced"]
    ran = await testexec.work({**where, "tests": ["test_memory.py", "test_network.py"]}, seat)
    assert not ran["ok"]
    assert ran["status"] == "OK"
    assert "MemoryError" in ran["stdout"]
    assert ran["counts"] == {"failed": 2}
