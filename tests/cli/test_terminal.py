import io

import pytest
from rich.text import Text

from clew.cli.terminal import Paper, brief, clock, duration, glimpse, money, plural, pretty


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (0, "0ms"), (-5, "0ms"), (999, "999ms"), (1000, "1.00s"), (12_340, "12.3s"), (65_000, "1m05s"),
        (7_620_000, "2h07m"), (3e8, "3d11h"),
    ],
)  # fmt: skip
def test_durations(ms, said):
    assert duration(ms) == said


def test_money():
    assert [money(c) for c in ("", "0", "0.000", "1.5", "0.000123", "12", "odd")] == [
        "$0", "$0", "$0", "$1.50", "$0.000123", "$12.00", "odd",
    ]  # fmt: skip


def test_times_have_a_date_unless_it_is_today():
    assert len(clock(10**12, 10**12 + 1000)) == 8
    assert len(clock(10**12, 10**12 + 10**9)) == 19


def test_values():
    assert brief({"a": "x" * 500}, 20).endswith("…")
    assert pretty({"a": 1}) == ['{"a":1}']
    assert pretty(list(range(100)), 3)[-1] == "… 99 more lines"
    assert "\x1b" not in brief("\x1b[2J")
    assert plural(1, "run") == "1 run"
    assert plural(2000, "run") == "2,000 runs"


def test_a_glimpse_is_bounded_and_shows_a_text_as_it_reads():
    assert glimpse("short", 3) == ['"short"']
    assert glimpse("one\ntwo \x1b[2J", 3) == ["one", "two \\x1b[2J"]
    assert glimpse("a\nb\nc", 2) == ["a", "b", "… 1 more lines"]
    (row,) = glimpse("x" * 3_000, 2)
    assert row.startswith("xxx")
    assert row.endswith("x… 2,000 more characters")
    assert len(glimpse({"a": "x" * 5_000_000}, 9)[1]) < 1_100
    assert glimpse(list(range(100)), 3)[-1] == "… 99 more lines"


@pytest.fixture
def paper(monkeypatch):
    def make(encoding="utf-8"):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
        monkeypatch.setattr("sys.stdout", stream)
        return Paper(), stream

    return make


def test_lines_are_clean_and_never_cut_in_a_pipe(paper):
    made, stream = paper()
    made.put("[bold]x\x1b[31m", ("y" * 500, "red"), Text("z"), indent=2)
    made.command("clew " + "w" * 500)
    stream.seek(0)
    lines = stream.read().splitlines()
    assert lines[0] == "  [bold]x\\x1b[31m" + "y" * 500 + "z"
    assert lines[1] == "clew " + "w" * 500


def test_a_plain_terminal_gets_letters(paper):
    made, _ = paper("ascii")
    assert made.plain
    assert made.glyph("success").plain == "ok"
    assert made.sign("→", "->") == "->"
    assert made.glyph("nothing known").plain == "--"


def test_a_reader_that_has_gone_is_no_error(paper):
    made, _ = paper()
    made.on_broken_pipe()
    assert made.quiet
    made.put("more")
