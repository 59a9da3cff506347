"""JSON lines: each a document; what is none is named by its file and line."""

import json

import pytest

from clew.context.ingest.lines import bring_in_lines
from clew.context.ingest.report import NO_TEXT, Options, Report
from clew.core.errors import UsageError


def imported(collection, path, **options):
    report = Report()
    bring_in_lines(collection, path, Options(**options), lambda *_: None, report)
    return report


def test_json_lines(collection, tmp_path):
    path = tmp_path / "docs.jsonl"
    lines = [
        {"id": "a", "text": "The pump leaks", "metadata": {"lang": "en"}, "vector": [1, 0], "embedder": "m"},
        {
            "id": "b",
            "text": "Ann leads Search.",
            "relations": [{"subject": "Ann", "relation": "leads", "object": "Search"}],
        },
    ]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    report = imported(collection, path, tags=("t",))
    assert report.documents == 2
    assert collection.get("a").metadata == {"lang": "en", "tags": ["t"]}
    assert len(collection.get("a").vector) == 8
    assert collection.get("b").relations[0].object == "Search"
    assert imported(collection, path, tags=("t",)).documents == 0


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"id": "a", "vector": [1e39]}',
        '{"id": "a", "text": "' + "x" * 2**24,
        '{"text": "no id"}',
        '{"id": 1}',
        '{"id": "a", "more": 1}',
        '{"id": "a", "vector": ["x"]}',
        "[" * 5000,
        '{"id": "a", "text": "\udcff"}',
        '{"id": ""}',
        '{"id": "a", "relations": [{"subject": "a", "relation": "b", "object": "c", "confidence": 7}]}',
        '{"id": "a", "metadata": {"x": ' + "[" * 200 + "]" * 200 + "}}",
    ],
)
def test_a_line_that_is_no_document_is_named(collection, tmp_path, line):
    path = tmp_path / "docs.jsonl"
    path.write_text('{"id": "ok"}\n' + line + "\n", errors="surrogateescape")
    with pytest.raises(UsageError, match=r"docs\.jsonl:2"):
        imported(collection, path)


def test_a_mark_of_the_encoding_is_no_part_of_a_line(collection, tmp_path):
    path = tmp_path / "docs.jsonl"
    path.write_text('{"id": "a", "text": "words"}\n', encoding="utf-8-sig")
    assert imported(collection, path).documents == 1


def test_a_file_without_a_line_has_no_text(collection, tmp_path):
    path = tmp_path / "docs.jsonl"
    path.write_text("\n \n")
    report = imported(collection, path)
    assert (report.files, report.passed[NO_TEXT].paths) == (0, ["docs.jsonl"])


def test_lines_that_cannot_be_read_are_said(collection, tmp_path):
    (tmp_path / "docs.jsonl").mkdir()
    with pytest.raises(UsageError, match=r"cannot read .*docs\.jsonl"):
        imported(collection, tmp_path / "docs.jsonl")
