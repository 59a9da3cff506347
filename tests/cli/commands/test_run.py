import msgspec
import pytest

from clew.cli import shapes


def test_a_run_prints_its_summary_and_its_progress_apart(cli, plain):
    answer = cli("run", plain, "--set", "n=4")
    assert answer.code == 0
    assert "✓ plain" in answer.out
    assert '"double":8' in answer.out
    assert "clew show r" in answer.out
    assert "✓ work 0" in answer.err


def test_quiet_and_no_watch_keep_stderr_empty(cli, plain):
    assert cli("run", plain, "-q").err == ""
    assert cli("run", plain, "--no-watch").err == ""


def test_the_document(cli, plain):
    answer = cli("run", plain, "--input", '{"n": 2}', "--json")
    document = answer.document(shapes.Outcome)
    assert (document.state, document.status, document.workflow) == ("completed", "success", "plain")
    assert document.output["double"] == 4
    assert not document.driven
    assert answer.err == ""


def test_a_run_that_fails(cli, plain):
    answer = cli("run", plain, "--set", "fail=true")
    assert answer.code == 1
    assert "as told" in answer.out
    assert "fork" in answer.out
    document = cli("run", plain, "--set", "fail=true", "--json").document(shapes.Outcome)
    assert document.status == "failure"
    assert document.error["code"]


def test_a_run_that_asks(cli, asking):
    answer = cli("run", asking, "--set", "n=1")
    assert answer.code == 3
    assert "Sign it?" in answer.out
    assert "clew approve r" in answer.out
    assert "waiting for a human" in answer.out
    document = cli("run", asking, "--json").document(shapes.Outcome)
    assert document.state == "waiting"
    (asked,) = document.waiting
    assert (asked.node, asked.kind, asked.editable) == ("sign", "approval", True)


@pytest.mark.parametrize(
    "args",
    [
        ("--input", "{"),
        ("--input", "1", "--input-file", "x"),
        ("--set", "x"),
        ("--break", "nowhere"),
        ("--start", "work"),
        ("--timeout", "soon"),
        ("--mode", "wild"),
    ],
)
def test_wrong_use_starts_nothing(cli, plain, args):
    answer = cli("run", plain, *args)
    assert answer.code == 2
    assert answer.err.startswith("error: ")
    assert cli("runs", "--json").json()["runs"] == []


def test_a_broken_project_is_not_run(cli, tmp_path):
    (tmp_path / "clew.yaml").write_text("workflow: [")
    answer = cli("run", tmp_path, "--json")
    assert answer.code == 2
    assert answer.json()["error"]["problems"]


def test_input_from_stdin(cli, plain):
    assert cli("run", plain, "--input-file", "-", "--json", stdin='{"n": 5}').json()["output"]["double"] == 10


def test_the_same_work_is_done_once(cli, plain):
    first = cli("run", plain, "--set", "n=1", "--idempotency-key", "k", "--json").json()
    again = cli("run", plain, "--set", "n=1", "--idempotency-key", "k", "--json").json()
    assert again["run"] == first["run"]
    assert again["output"] == first["output"]
    other = cli("run", plain, "--set", "n=2", "--idempotency-key", "k", "--json")
    assert other.code == 2
    assert other.json()["error"]["code"] == "conflict"


def test_the_same_work_goes_on_where_it_waits(cli, asking):
    first = cli("run", asking, "--idempotency-key", "k", "--json").json()
    again = cli("run", asking, "--idempotency-key", "k", "--json")
    assert again.code == 3
    assert again.json()["run"] == first["run"]


def test_secrets_are_masked_in_what_is_shown(cli, plain):
    secret = "sk-abcdefghijklmnop1234"
    for args in ((), ("--json",)):
        answer = cli("run", plain, "--input", msgspec.json.encode({"password": "hunter2", "t": secret}).decode(), *args)
        assert "hunter2" not in answer.out + answer.err
        assert secret not in answer.out + answer.err
        assert "[redacted]" in answer.out


def test_pauses_without_a_terminal_are_left_paused(cli, plain):
    answer = cli("run", plain, "--break", "work")
    assert answer.code == 3
    assert "paused at work" in answer.out
    assert "clew resume r" in answer.out
    run = cli("runs", "--json").json()["runs"][0]["run"]
    assert cli("resume", "--json").document(shapes.Outcomes).runs == []  # a pause is somebody's
    stepped = cli("resume", run, "--step", "--json").document(shapes.Outcomes)
    assert stepped.runs[0].paused == "done"
    assert cli("resume", run).code == 0


def test_a_timeout_ends_the_run_for_good(cli, plain, tmp_path):
    answer = cli("run", plain, "--set", f"until={tmp_path / 'never'}", "--timeout", "300ms", "--json")
    assert answer.code == 1
    assert answer.json()["error"]["code"] == "deadline_exceeded"


def test_a_step_among_parallel_arms_does_its_node(cli, asking):
    run = cli("run", asking, "--step", "--json").json()["run"]
    for _ in range(3):  # past start, past both, into the first arm
        cli("resume", run, "--step", "--json")
    nodes = {n["node"]: n for n in cli("show", run, "--json").json()["nodes"]}
    assert nodes["sign"]["state"] == "waiting"
