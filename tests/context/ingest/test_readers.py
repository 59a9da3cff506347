"""Readers: each kind of file as text, and files that are none."""

import io

import pytest

from clew.context.ingest.readers import Unreadable, kind_of, read


def texts(name, data):
    return [piece.text for piece in read(name, data)]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.md", "markdown"), ("b/a.PY", "python"), ("x.ts", "code"), ("x.pdf", "pdf"), ("x.exe", ""), ("Makefile", "")],
)
def test_kinds(name, kind):
    assert kind_of(name) == kind


def test_html_gives_what_is_read():
    page = (
        b"<html><head><title>t</title><style>p {}</style></head><body><h1>Pumps</h1><p>One &amp; <b>two</b>.<p>Three"
        b"<script>alert('no')</script><nav>menu</nav><h2>Leaks</h2><ul><li>a<li>b</ul></body>"
    )
    found = read("x.html", page)
    assert [p.title for p in found] == ["Pumps", "Pumps > Leaks"]
    assert found[0].text == "# Pumps\n\nOne & two.\n\nThree"
    assert "a\n\nb" in found[1].text


def test_csv_whatever_separates_it():
    assert texts("x.csv", b"a;b\n1;2\n") == texts("x.csv", b"a,b\n1,2\n") == ["a: 1; b: 2"]
    assert texts("x.csv", b"") == []


def test_line_ends_and_marks():
    assert texts("x.txt", b"\xef\xbb\xbfone\r\ntwo\rthree") == ["one\ntwo\nthree"]


@pytest.mark.parametrize(
    "data", [b"PK\x03\x04\x00\x00", b"\xff\xfe" + "text".encode("utf-16-le"), bytes(range(128, 256)) * 20]
)
def test_what_is_no_text_is_refused(data):
    with pytest.raises(Unreadable):
        read("x.txt", data)


def test_a_few_odd_bytes_do_not_matter():
    assert texts("x.txt", b"caf\xe9 and more words") == ["caf\ufffd and more words"]


def test_pdf():
    pypdf = pytest.importorskip("pypdf")
    writer = pypdf.PdfWriter()
    page = writer.add_blank_page(200, 200)
    content = pypdf.generic.DecodedStreamObject()
    content.set_data(b"BT /F1 12 Tf 20 100 Td (The pump leaks) Tj ET")
    font = pypdf.generic.DictionaryObject()
    for key, value in (("/Type", "/Font"), ("/Subtype", "/Type1"), ("/BaseFont", "/Helvetica")):
        font[pypdf.generic.NameObject(key)] = pypdf.generic.NameObject(value)
    fonts = pypdf.generic.DictionaryObject({pypdf.generic.NameObject("/F1"): font})
    page[pypdf.generic.NameObject("/Resources")] = pypdf.generic.DictionaryObject(
        {pypdf.generic.NameObject("/Font"): fonts}
    )
    page[pypdf.generic.NameObject("/Contents")] = content
    out = io.BytesIO()
    writer.write(out)
    (piece,) = read("x.pdf", out.getvalue())
    assert (piece.text, piece.title) == ("The pump leaks", "page 1")


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7 broken", b"no pdf at all"])
def test_a_broken_pdf_is_said(data):
    pytest.importorskip("pypdf")
    with pytest.raises(Unreadable, match="no PDF that can be read"):
        read("x.pdf", data)
