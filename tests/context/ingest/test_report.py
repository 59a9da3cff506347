"""The report of an import: bounded, and text whatever files are called."""

from clew.context.ingest import report as reporting
from clew.context.ingest.report import LINES, NO_TEXT, Report, Writing
from clew.gate.ports.context import Put, Remove


def test_what_is_passed_over_is_bounded():
    report = Report()
    for n in range(100):
        report.pass_over(f".{n}", "x")
    for n in range(50):
        report.pass_over(NO_TEXT, f"{n}")
    report.pass_over(LINES, "rows.jsonl")
    assert len(report.passed) == 33
    assert (report.passed["other"].count, len(report.passed["other"].paths)) == (70, 20)
    assert (report.passed[NO_TEXT].count, report.passed[NO_TEXT].paths[-1]) == (50, "19")
    assert report.passed[LINES].count == 1


def test_names_that_are_no_text_are_told_as_text():
    report = Report()
    report.pass_over(".\udcff", "a\udcff")
    report.skip("b\udcff", "why")
    assert report.passed[".\\udcff"].paths == ["a\\udcff"]
    assert report.skipped == [{"path": "b\\udcff", "why": "why"}]


def test_what_was_written_is_counted(collection):
    report = Report()
    writing = Writing(collection, report)
    writing.flush()
    assert not writing.take([Put(id="a", text="x"), Put(id="a", text="x"), Remove(id="a"), Remove(id="b")])
    writing.flush()
    assert (report.documents, report.removed) == (1, 1)


def test_what_waits_is_written_when_it_is_much(collection, monkeypatch):
    monkeypatch.setattr(reporting, "BATCH", 2)
    writing = Writing(collection, Report())
    assert [writing.take([Put(id=name)]) for name in "abc"] == [False, True, False]
    assert [*collection.log.ids()] == ["a", "b"]
