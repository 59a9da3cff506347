"""Rules: what is read off code, links and plain sentences."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.context.graph.extract import MOST, extract


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


def test_python_that_does_not_parse_is_read_as_code_of_any_language():
    assert ("b.py", "defines", "A") in told("b.py", "class A\n  def go(:")


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
