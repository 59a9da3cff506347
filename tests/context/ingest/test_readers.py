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
def test_a_broken_pdf_is_said(data, capfd):
    pytest.importorskip("pypdf")
    with pytest.raises(Unreadable, match="no PDF that can be read"):
        read("x.pdf", data)
    assert capfd.readouterr().err == "", "and the library says nothing besides"


@pytest.mark.parametrize(
    "page",
    [
        "<a ", '<a b="', "<![", "<!--", "<!-- >", "<?", "</", "</a ", "<script>", "<script>x</scrip", "<div>", "<h1>", "&#", "<p>x",
        "<![CDATA[", "<",
    ],
)  # fmt: skip
def test_a_hostile_page_takes_no_longer_than_any_other(page):
    """Such pages took a parser of the standard library minutes; here they take time by their length."""
    read("x.html", (page * 20_000).encode())


def test_what_a_page_leaves_open():
    def told(page):
        return " ".join(" ".join(piece.text for piece in read("x.html", page.encode())).split())

    assert told("one <b>two</b> 1 < 2 &amp; &#x41; <!-- no --> three") == "one two 1 < 2 & A three"
    assert told("one <script>if (a < b) '</p>'</SCRIPT> two<style>x{}</style>") == "one two"
    assert told('one <a title="a > b" href=x>two</a><br/>three <IMG src=y>') == "one two three"
    assert told("one <!-- two") == told("one <a title='two") == told("one <script> two") == "one"
    assert told("&#" + "9" * 5000 + ";").replace(" ", "") == "&#" + "9" * 5000 + ";"


def test_many_paragraphs_take_time_by_their_number():
    text = "a\n\n" * 50_000
    found = read("x.txt", text.encode())
    assert sum(piece.text.count("a") for piece in found) == 50_000
    assert found[1].line == 1 + 2 * found[0].text.count("a")


@pytest.mark.parametrize("line", ["x", "#", "中", " y", "\t"])
def test_a_line_of_megabytes_takes_time_by_its_length(line):
    found = read("x.txt", (line * 300_000).encode())
    assert sum(len("".join(piece.text.split())) for piece in found) == (0 if line == "\t" else 300_000)
