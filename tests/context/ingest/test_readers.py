"""Readers: each kind of file as text, and files that are none."""

import codecs
import io
import sys

import pytest

from clew.context.ingest import readers
from clew.context.ingest.readers import Unreadable, kind_of, read


def texts(name, data):
    return [piece.text for piece in read(name, data).pieces]


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
    found = read("x.html", page).pieces
    assert [p.title for p in found] == ["Pumps", "Pumps > Leaks"]
    assert found[0].text == "# Pumps\n\nOne & two.\n\nThree"
    assert "a\n\nb" in found[1].text


def test_csv_whatever_separates_it():
    assert texts("x.csv", b"a;b\n1;2\n") == texts("x.csv", b"a,b\n1,2\n") == ["a: 1; b: 2"]
    assert texts("x.csv", b"") == texts("x.csv", b"\n\n") == []


def test_rows_that_are_not_read_are_said(monkeypatch):
    rows = b"a,b\n" + b"".join(b"%d,%s\n" % (n, b"word " * 200) for n in range(20))
    assert (len(read("x.csv", rows).pieces), read("x.csv", rows).left) == (20, "")
    monkeypatch.setattr(readers, "_MOST_TOLD", 5000)
    found = read("x.csv", rows)
    assert (found.pieces[-1].title, found.left) == ("rows 5-5", "read up to row 5: 5,000 characters; split it")


def test_every_row_of_a_table_is_read():
    found = read("x.csv", b"n\n" + b"".join(b"n%d\n" % n for n in range(150_000))).pieces
    assert found[-1].text.endswith("n: n149999")


def test_line_ends_and_marks():
    assert texts("x.txt", b"\xef\xbb\xbfone\r\ntwo\rthree") == ["one\ntwo\nthree"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"PK\x03\x04\x00\x00", "x.txt is no text"),
        ("text".encode("utf-16-le"), "x.txt is no text"),
        (codecs.BOM_UTF32_LE + "text".encode("utf-32-le"), "x.txt is no text"),
        (b"caf\xe9 and more words", r"x.txt is no UTF-8 text \(byte 3\): convert it"),
        (bytes(range(128, 256)) * 20, r"x.txt is no UTF-8 text \(byte 0\)"),
        (b"\xff\xfe\x00\xd8x", r"x.txt is no UTF-16 text"),
    ],
)
def test_what_is_no_text_is_refused(data, why):
    with pytest.raises(Unreadable, match=why):
        read("x.txt", data)


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_that_say_which_they_are(coding):
    assert texts("x.txt", "café 語".encode(coding)) == ["café 語"]
    big = codecs.BOM_UTF16_BE + "café 語".encode("utf-16-be")
    assert texts("x.txt", big) == ["café 語"]


def printed(*pages):
    """A PDF with a line of text on each page."""
    pypdf = pytest.importorskip("pypdf")
    generic = pypdf.generic
    writer = pypdf.PdfWriter()
    for said in pages:
        page = writer.add_blank_page(200, 200)
        content = generic.DecodedStreamObject()
        content.set_data(b"BT /F1 12 Tf 20 100 Td (%s) Tj ET" % said.encode())
        names = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
        font = generic.DictionaryObject(
            {generic.NameObject(name): generic.NameObject(value) for name, value in names.items()}
        )
        fonts = generic.DictionaryObject({generic.NameObject("/F1"): font})
        page[generic.NameObject("/Resources")] = generic.DictionaryObject({generic.NameObject("/Font"): fonts})
        page[generic.NameObject("/Contents")] = content
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_pdf():
    (piece,) = read("x.pdf", printed("The pump leaks")).pieces
    assert (piece.text, piece.title) == ("The pump leaks", "page 1")


def test_pages_that_are_not_read_are_said(monkeypatch):
    found = read("x.pdf", printed("one", "two"))
    assert (len(found.pieces), found.left) == (2, "")
    monkeypatch.setattr(readers, "_PAGES", 1)
    found = read("x.pdf", printed("one", "two"))
    assert ([one.text for one in found.pieces], found.left) == (["one"], "read up to page 1 of 2; split it")


def test_half_a_character_of_a_pdf_is_no_text(monkeypatch):
    pypdf = pytest.importorskip("pypdf")
    monkeypatch.setattr(pypdf.PageObject, "extract_text", lambda _: "the \ud835 leaks")
    assert texts("x.pdf", printed("")) == ["the ? leaks"]


def test_without_its_library_a_pdf_is_left_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "pypdf", None)
    with pytest.raises(Unreadable, match=r"needs pypdf: pip install 'clew\[pdf\]'"):
        read("x.pdf", b"%PDF-1.7")


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
        "<![CDATA[", "<", '<a b=">" ', "<a b='>", '<a b="" ', "<a b=", "<svg>", "<svg/>", "<svg></nav>", "<title>", "</>", "<td>",
        "<!-->", "<!--->",
    ],
)  # fmt: skip
def test_a_hostile_page_takes_no_longer_than_any_other(page):
    """Such pages took a parser of the standard library minutes; here they take time by their length."""
    read("x.html", (page * 20_000).encode())


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("one <b>two</b> 1 < 2 &amp; &#x41; <!-- no --> three", "one two 1 < 2 & A three"),
        ("one <script>if (a < b) '</p>'</SCRIPT> two<style>x{}</style>", "one two"),
        ('one <a title="a > b" href=x>two</a><br/>three <IMG src=y>', "one two three"),
        ("one <script> two", "one"),
        ("one <!-- two", "one <!-- two"),
        ("one <!-- two <p>three", "one three"),
        ("one <!-->two<!--->three<!-- no --!>four", "one twothreefour"),
        ("one <a title='two", "one <a title='two"),
        ("one <a title='two>three", "one three"),
        ("one <b then don't", "one <b then don't"),
        ("one <b then don't<p>two", "one two"),
        ("one <a title=Bob's>two's</a> three", "one two's three"),
        ('one <a title = x="y>two</a>', "one two"),
        ("one</>two</ >three", "onetwothree"),
        ("1 < 2 > 0 <", "1 < 2 > 0 <"),
    ],
)
def test_what_a_page_leaves_open(page, said):
    assert " ".join(" ".join(texts("x.html", page.encode())).split()) == said


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("<html><head><title>T</title><body><h1>Pumps</h1><p>The turbine leaks.", "# Pumps\n\nThe turbine leaks."),
        ("<head><title>T</title>The turbine leaks.", "The turbine leaks."),
        ("<title>T<p>one", "one"),
        ("one <svg/>two <svg><svg/><svg></svg>no</svg>three<nav/>four", "one two three\n\nfour"),
        ("<nav><h1>Menu</h1><svg></nav>one", "one"),
        ("<table><tr><td>turbine</td><td>basement</td></tr><tr><th>a<th>b</table>", "turbine basement\n\na b"),
        ("<header>a</header><aside>b</aside><figure>c<figcaption>d</figure><footer>e", "a\n\nb\n\nc\n\nd\n\ne"),
        ("<h1><div>Pumps</div></h1>one<h2></h2>two<h3/>three", "# Pumps\n\none\n\ntwo\n\nthree"),
    ],
)
def test_tags_that_part_and_hide(page, said):
    assert "\n\n".join(texts("x.html", page.encode())) == said


def test_many_paragraphs_take_time_by_their_number():
    text = "a\n\n" * 50_000
    found = read("x.txt", text.encode()).pieces
    assert sum(piece.text.count("a") for piece in found) == 50_000
    assert found[1].line == 1 + 2 * found[0].text.count("a")


@pytest.mark.parametrize("line", ["x", "#", "中", " y", "\t"])
def test_a_line_of_megabytes_takes_time_by_its_length(line):
    found = read("x.txt", (line * 300_000).encode()).pieces
    assert sum(len("".join(piece.text.split())) for piece in found) == (0 if line == "\t" else 300_000)
