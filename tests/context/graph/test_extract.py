"""Rules: what is read off code, links and plain sentences."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.context.graph.extract import MOST, extract, extract_pieces


def told(document, text, path=""):
    return {(r.subject, r.relation, r.object) for r in extract(document, text, path)}


def test_python():
    text = (
        "import os.path\nfrom . import core\nclass A(Base):\n    def go(self):\n        return helper(os.stat('x'))\n"
    )
    assert told("a.py", text) == {
        ("a.py", "imports", "os.path"),
        ("a.py", "imports", "."),
        ("a.py", "defines", "A"),
        ("A", "inherits from", "Base"),
        ("a.py", "defines", "A.go"),
        ("A.go", "calls", "helper"),
        ("A.go", "calls", "os.stat"),
    }


@pytest.mark.parametrize("text", ["class A\n  def go(:", f"class A({'a.' * 2000}b): pass", f"class A: x = {'(' * 500}"])
def test_python_that_does_not_parse_is_read_as_code_of_any_language(text):
    assert ("b.py", "defines", "A") in told("b.py", text)


def test_a_piece_of_python_states_what_stands_on_its_lines():
    lines = [
        "import os",
        "class A(Base):",
        "    def go(self):",
        "        one()",
        "        two()",
        "    def stop(self): one()",
    ]
    starts = (1, 3, 5, 6)
    ends = (*(start - 1 for start in starts[1:]), 6)
    pieces = [(a, "\n".join(lines[a - 1 : b])) for a, b in zip(starts, ends, strict=True)]
    found = extract_pieces("a.py", "\n".join(lines), pieces)
    assert [{(r.subject, r.relation, r.object) for r in one} for one in found] == [
        {("a.py", "imports", "os"), ("a.py", "defines", "A"), ("A", "inherits from", "Base")},
        {("a.py", "defines", "A.go"), ("A.go", "calls", "one")},
        {("A.go", "calls", "two")},
        {("a.py", "defines", "A.stop"), ("A.stop", "calls", "one")},
    ]


@pytest.mark.parametrize(("path", "text"), [("a.py", "def (:"), ("a.md", "Ann leads Core."), ("a.ts", "class A {}")])
def test_pieces_of_anything_else_are_read_by_themselves(path, text):
    links = "See https://example.org/a."
    assert extract_pieces(path, text, [(1, text), (1, links)]) == [extract(path, text), extract(path, links)]
    assert extract_pieces(path, text, []) == []


def test_pieces_of_python_keep_their_links():
    (one, two) = extract_pieces(
        "a.py", "x = 1\n\n# https://example.org/a", [(1, "x = 1"), (3, "# https://example.org/a")]
    )
    assert (one, [r.object for r in two]) == ((), ["https://example.org/a"])


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        (
            "x.ts",
            'import {a} from "./a"\nexport async function go() {}',
            {("d", "imports", "./a"), ("d", "defines", "go")},
        ),
        ("x.js", "const fs = require('fs')", {("d", "imports", "fs")}),
        ("x.rs", "use std::io;\npub fn main() {}", {("d", "imports", "std::io"), ("d", "defines", "main")}),
        ("x.go", "func (s *Server) Serve() {}", {("d", "defines", "Serve")}),
        ("x.c", '#include <stdio.h>\n#include "a.h"', {("d", "imports", "stdio.h"), ("d", "imports", "a.h")}),
    ],
)
def test_other_languages(path, text, expected):
    assert told("d", text, path) == expected


def test_links():
    text = "See [the guide](docs/guide.md#top) and [[Wiki Page|x]], https://example.org/a. [here](#local) not."
    assert told("a.md", text) >= {
        ("a.md", "links to", "docs/guide.md"),
        ("a.md", "links to", "Wiki Page"),
        ("a.md", "links to", "https://example.org/a"),
    }
    assert not any(o == "" for _, _, o in told("a.md", text))


def test_sentences():
    text = "Ann Lee leads Search Core. The billing-service uses ledger-db. Orion was founded by Ben Okri. It rains."
    assert told("n", text) >= {
        ("Ann Lee", "leads", "Search Core"),
        ("billing-service", "uses", "ledger-db"),
        ("Ben Okri", "founded", "Orion"),
        ("n", "mentions", "Ann Lee"),
    }
    assert not any("It" in one for one in told("n", text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Jürgen Müller leads Ölwerk Süd.", ("Jürgen Müller", "leads", "Ölwerk Süd")),
        ("Ju\u0308rgen leads O\u0308lwerk.", ("Jürgen", "leads", "Ölwerk")),
        ("größen-dienst uses zählerÖl!", ("größen-dienst", "uses", "zählerÖl")),
        ("Иван Петров owns Газпром", ("Иван Петров", "owns", "Газпром")),
    ],
)
def test_names_of_any_alphabet(text, expected):
    assert expected in told("n", text)


@pytest.mark.parametrize("word", ["leads", "größe", "1Ab", "a_-B", "...", "A" * 121, "The"])
def test_what_is_no_name(word):
    assert not any(relation == "uses" for _, relation, _ in told("n", f"Ann uses {word}"))


def test_names_within_sentences():
    text = "Ines Corbett leads it. Quillfeed is slow. Brokers fail. See `scan_bridge.py` on Monday or in May."
    assert told("wiki/quillfeed.md#3", text) == {
        ("wiki/quillfeed.md#3", "mentions", "Ines Corbett"),
        ("wiki/quillfeed.md#3", "is about", "Quillfeed"),
        ("wiki/quillfeed.md#3", "mentions", "scan_bridge.py"),
    }


def test_a_small_word_at_the_beginning_is_no_name():
    assert told("n", "After Easter he left. In Oslo it rains. Until then, all wait.") == {
        ("n", "mentions", "Easter"),
        ("n", "mentions", "Oslo"),
    }


def test_prose_is_believed_less_than_code():
    (stated,) = [r for r in extract("n", "Ann leads Core.") if r.relation == "leads"]
    assert stated.confidence < min(r.confidence for r in extract("a.py", "import os"))


@given(st.text(max_size=300), st.sampled_from(["a.py", "a.ts", "a.md", ""]))
def test_any_text_gives_bounded_relations(text, path):
    found = extract("doc", text, path)
    assert len(found) <= MOST
    assert all(0 < r.confidence <= 1 and r.subject and r.object and r.relation for r in found)


@pytest.mark.parametrize(
    "text",
    [
        "A" * 200_000,
        "u\u0308\u0323" * 60_000,
        "Ü" * 119 + " Ünd",
        "A b-" * 50_000,
        "[" * 100_000,
        "Ann " * 50_000,
        "a.b" * 60_000,
        "(" * 5000,
        "\n" * 200_000,
        "import a\n" * 20_000,
        '[a](b "' * 20_000,
        "public " * 30_000,
    ],
)
@pytest.mark.parametrize("path", ["a.md", "a.py", "a.ts"])
def test_hostile_texts_do_not_hold_it_up(text, path):
    began = time.process_time()
    extract("doc", text, path)
    assert time.process_time() - began < 5
