import pytest

from clew.cli.inputs import build, loose, milliseconds, pairs
from clew.core.errors import UsageError


def test_values_are_put_at_their_places():
    made = build('{"a": {"b": 1}, "l": [1, 2]}', None, ["a.c=2", "l.0=9", "l.2=3", "s=text", "t=true", "e=a=b"])
    assert made == {"a": {"b": 1, "c": 2}, "l": [9, 2, 3], "s": "text", "t": True, "e": "a=b"}


def test_an_input_is_made_from_values_alone():
    assert build(None, None, ["a.b.c=1"]) == {"a": {"b": {"c": 1}}}
    assert build(None, None, []) is None


def test_a_file_and_its_absence(tmp_path):
    path = tmp_path / "in.json"
    path.write_text("[1]")
    assert build(None, str(path), []) == [1]
    with pytest.raises(UsageError, match="cannot read"):
        build(None, str(tmp_path / "none"), [])
    with pytest.raises(UsageError, match="cannot read"):
        build(None, "a\0b", [])
    path.write_bytes(b"\xff{")
    with pytest.raises(UsageError, match="no JSON"):
        build(None, str(path), [])


@pytest.mark.parametrize(
    ("text", "file", "sets"),
    [
        ("{", None, []),
        ("{}", "x", []),
        (None, None, ["novalue"]),
        (None, None, ["=1"]),
        ("3", None, ["a=1"]),
        ("[]", None, ["7=1"]),
        ("[" * 100_000, None, []),
    ],
)
def test_what_cannot_be_is_wrong_use(text, file, sets):
    with pytest.raises(UsageError):
        build(text, file, sets)


def test_loose_values_and_pairs():
    assert [loose(t) for t in ("1", "[1]", "x", "", '"1"')] == [1, [1], "x", "", "1"]
    assert pairs(["=5", "a.b=c"], "--set") == {"": 5, "a.b": "c"}
    with pytest.raises(UsageError):
        pairs(["x"], "--set")


def test_durations():
    assert [milliseconds(t, "--timeout") for t in ("500ms", "2", "1.5s", "5m", "24h", "2d")] == [
        500, 2000, 1500, 300_000, 86_400_000, 172_800_000,
    ]  # fmt: skip
    assert milliseconds(None, "--timeout") is None
    for wrong in ("", "0", "-1s", "1w", "s", "1 s x"):
        with pytest.raises(UsageError):
            milliseconds(wrong, "--timeout")
