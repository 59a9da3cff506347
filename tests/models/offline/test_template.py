import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.core.errors import Failure
from clew.models.offline.template import MOST_VALUES, as_text, fill, texts, walk

SCOPE = {
    "input": {"directory": "src", "n": 3, "files": [{"name": "a.py"}, {"name": "b.py"}], "none": None},
    "failures": [],
}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{input.n}}", 3),
        ("  {{ input.files }} ", SCOPE["input"]["files"]),
        ("{{input.files.1.name}}", "b.py"),
        ("{{input.none}}", None),
        ("in {{input.directory}}: {{input.n}} of {{input.files.0}}", 'in src: 3 of {"name":"a.py"}'),
        ("no path { here }", "no path { here }"),
        ({"a": "{{input.missing?}}", "b": ["{{input.missing?}}", 1, None, True]}, {"b": [1, None, True]}),
        ("[{{input.missing?}}]", "[]"),
        ("{{input.missing?}}", msgspec.UNSET),
        ("}} closes nothing", "}} closes nothing"),
    ],
)
def test_paths_are_filled(template, value):
    assert fill(template, SCOPE) == value


@pytest.mark.parametrize(
    "path", ["other", "input.missing", "input.files.2", "input.files.x", "input.n.x", "input.files.-1", "input.files.²"]
)
def test_a_path_that_leads_nowhere_is_named(path):
    with pytest.raises(Failure, match="nothing is known of") as caught:
        fill(f"{{{{{path}}}}}", SCOPE)
    assert caught.value.code == "offline_cannot"
    assert path in str(caught.value)


@pytest.mark.parametrize(
    "template", ["{{", "{{1}}", "{{input n}}", "{{__import__('os')}}", "a {{input.n}} {{ b", "{{{{input.n}}"]
)
def test_what_is_no_path_is_refused(template):
    with pytest.raises(Failure) as caught:
        fill(template, SCOPE)
    assert caught.value.code == "invalid_request"


@given(st.text())
def test_data_is_never_read_as_a_template(text):
    scope = {"input": text + "{{failures}}", "failures": "secret"}
    assert fill("{{input}}", scope) == scope["input"]
    assert fill("<{{input}}>", scope) == f"<{scope['input']}>"


def test_depth_and_size_are_bounded():
    deep = "x"
    for _ in range(40):
        deep = [deep]
    with pytest.raises(Failure, match="deeper"):
        fill(deep, SCOPE)
    with pytest.raises(Failure, match="more than"):
        fill("a{{input}}", {"input": "x" * 2_000_000})


def test_a_walk_ends():
    assert len(list(walk({str(i): list(range(100)) for i in range(5000)}))) == MOST_VALUES
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert sum(1 for _ in walk(deep)) == MOST_VALUES
    while deep:
        deep = deep.pop()
    assert texts({"a": "x", "b": [{"c": "y"}], "n": 1}) == ["x", "y"]


def test_values_within_text():
    assert [as_text(v) for v in ("a", 1, None, [1, "ü"], msgspec.UNSET)] == ["a", "1", "null", '[1,"ü"]', ""]
