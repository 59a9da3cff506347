from typing import Any

import pytest

from clew.manifest.problems import Problems
from clew.manifest.read import MAX_DEPTH, read


def _read(text: str | bytes, file: str = "x.yaml") -> tuple[Any, list[str]]:
    problems = Problems()
    located = read(text.encode() if isinstance(text, str) else text, file, (), problems)
    return (located.plain() if located is not None else None), [str(problem) for problem in problems.sorted()]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("No", "No"),
        ("off", "off"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("NULL", None),
        ("2020-01-01", "2020-01-01"),
        ("12:30:00", "12:30:00"),
        ("0o17", 15),
        ("017", 17),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("+5", 5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("=", "="),
        ("'1'", "1"),
        ('"\\u00e9"', "é"),
        ("!!str 1", "1"),
        ("!!int 0x10", 16),
        ("!!float 1", 1.0),
        ("! 1", "1"),
        ("-9223372036854775808", -(2**63)),
    ],
)
def test_scalars_by_the_core_schema(text: str, value: Any) -> None:
    found, problems = _read(f"a: {text}")
    assert problems == []
    assert found["a"] == value
    assert type(found["a"]) is type(value)


@pytest.mark.parametrize(
    "text", [".inf", "-.INF", ".nan", "1e999", "9223372036854775808", "9" * 6000, "!!int x", "!x y"]
)
def test_what_json_cannot_carry_is_refused_once(text: str) -> None:
    _, problems = _read(f"a: {text}\nb: .nan")
    assert len(problems) == 2
    assert problems[0].startswith("x.yaml:1:4: a: ")
    assert problems[1].startswith("x.yaml:2:4: b: ")


def test_aliases_share_a_value() -> None:
    assert _read("a: &x {k: [1]}\nb: *x\nc: [*x, *x]") == (
        {"a": {"k": [1]}, "b": {"k": [1]}, "c": [{"k": [1]}, {"k": [1]}]},
        [],
    )


def test_json_with_tabs_and_escapes() -> None:
    text = '{\n\t"a":1,\t"b":"\\ud83d\\ude00\\/\\\\u0041",\n\t"c":[true,null,1E2]}'
    assert _read(text, "x.json") == ({"a": 1, "b": "😀/\\u0041", "c": [True, None, 100.0]}, [])


@pytest.mark.parametrize("text", ['{"a": 1,}', "{'a': 1}", "a: 1", '{"a": 1} x', "", '{"a": "\\ud83d"}'])
def test_json_is_strict(text: str) -> None:
    value, problems = _read(text, "x.json")
    assert value is None
    assert len(problems) == 1
    assert problems[0].startswith("x.json:1:")


def test_a_byte_order_mark_does_not_move_columns() -> None:
    assert _read(b"\xef\xbb\xbfa: .nan")[1][0].startswith("x.yaml:1:4: ")


@pytest.mark.parametrize("opening", ["[", "- ", "{a: ", "? "])
def test_deep_nesting_is_refused_at_its_place(opening: str) -> None:
    value, problems = _read(opening * 100_000)
    assert value is None
    assert len(problems) == 1
    assert f"deeper than {MAX_DEPTH} levels" in problems[0] or "as a key" in problems[0]


def test_depth_counts_through_aliases() -> None:
    lines = ["a0: &a0 [[[[[[[[[[x]]]]]]]]]]"]
    lines += [f"a{i}: &a{i} [[[[[[[[[[*a{i - 1}]]]]]]]]]]" for i in range(1, 9)]
    value, problems = _read("\n".join(lines))
    assert value is None
    assert "when aliases are expanded" in problems[0]


def test_the_last_level_allowed() -> None:
    assert _read("[" * MAX_DEPTH + "]" * MAX_DEPTH)[1] == []
    assert _read("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))[1] != []


def test_aliases_count_for_what_they_repeat() -> None:
    text = "a: &a [" + "x," * 1000 + "]\nb: [" + "*a, " * 200 + "]\n"
    value, problems = _read(text)
    assert value is None
    assert "100000 values" in problems[0]


def test_several_problems_and_a_syntax_error() -> None:
    _, problems = _read("a: .nan\nb: !x 1\nb: 2\nc: [\n")
    assert [problem.split(" ")[0] for problem in problems] == [
        "x.yaml:1:4:",
        "x.yaml:2:4:",
        "x.yaml:3:1:",
        "x.yaml:5:1:",
    ]


@pytest.mark.parametrize(
    "text", ["? [a]\n: b", "? {a: b}\n: c", "&a x: 1\n*a : 2", "1: a", "~: a", "<<: {a: b}", "!!int 1: a"]
)
def test_keys_are_strings(text: str) -> None:
    _, problems = _read(text)
    assert len(problems) == 1


def test_quoted_keys_may_look_like_anything() -> None:
    assert _read("'1': a\n\"<<\": b\n'true': c") == ({"1": "a", "<<": "b", "true": "c"}, [])


def test_nothing_is_nothing() -> None:
    assert _read("# only a comment\n") == (None, [])
