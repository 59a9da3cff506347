import pytest

from clew.manifest.problems import MAX_PROBLEMS, Mark, Problem, Problems, closest, dotted, one_of, shown


def test_one_line_says_where_what_and_what_instead() -> None:
    problem = Problem(
        code="value",
        file="workflow.yaml",
        line=12,
        column=7,
        path="workflow.nodes[3].role",
        found='"liner"',
        expected="one of start, linear",
        suggestion="linear",
    )
    assert str(problem) == (
        'workflow.yaml:12:7: workflow.nodes[3].role: found "liner", expected one of start, linear; did you mean "linear"?'
    )


def test_order_and_number() -> None:
    problems = Problems()
    for line in (3, 1, 2, 2):
        problems.add(Mark("b", line, 1), (), "x", "m")
    problems.add(Mark("a", 9, 1), (), "x", "m")
    assert [(problem.file, problem.line) for problem in problems.sorted()] == [("a", 9), ("b", 1), ("b", 2), ("b", 3)]


def test_there_is_an_end() -> None:
    problems = Problems()
    for line in range(2 * MAX_PROBLEMS):
        problems.add(Mark("a", line + 1, 1), (), "x", "m")
    assert len(problems) == MAX_PROBLEMS + 1
    assert "more than" in problems.sorted()[-1].message


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"),
        ({}, "a mapping"),
        ([1], "a list"),
        (True, "true"),
        ("a\nb", '"a\\nb"'),
        ("\x1b[31m", '"\\u001b[31m"'),
        ("é", '"é"'),
        ("x" * 100, '"' + "x" * 59 + '…"'),
    ],
)
def test_values_are_shown_short_and_printable(value: object, text: str) -> None:
    assert shown(value) == text


def test_paths() -> None:
    assert dotted(("workflow", "nodes", 3, "role")) == "workflow.nodes[3].role"
    assert "\x1b" not in dotted(("a\x1b[31m",))
    assert len(dotted(("x",) * 500)) < 200


def test_suggestions() -> None:
    assert closest("hanlder", ["handler", "agent"]) == "handler"
    assert closest("schema-in", ["schema_in"]) == "schema_in"
    assert closest("ticket", ["Ticket"]) == "Ticket"
    assert closest("zebra", ["handler"]) == ""
    assert closest("x" * 10_000, ["x"]) == ""
    assert one_of([]) == "nothing (there is none)"
