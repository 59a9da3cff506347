"""``clew context`` and ``clew query``: memory by hand."""

import json

import pytest

from clew.cli import remembering, table
from clew.cli.commands.context import Snapshots, Statistics
from clew.cli.documents import Changed, Documents
from clew.context.versions import Difference
from clew.core.errors import UsageError
from clew.service.remembered import Document, Embedded, Imported, MergeAnswer, SearchAnswer

G = ("--scope", "global")


@pytest.fixture
def kept(cli, tmp_path):
    for name, text in (
        ("pump", "The pump in hall 3 leaks."),
        ("oven", "The oven is hot at night."),
        ("team", "Ann Lee leads Search Core."),
    ):
        assert cli("context", "add", name, "--text", text, "--meta", "n=1", *G).code == 0
    return cli


def test_kept_and_found(kept):
    found = kept("query", "--text", "leaking pump", "--k", 2, *G, "--json").document(SearchAnswer)
    assert found.hits[0].doc_id == "pump"
    assert found.hits[0].metadata == {"n": 1}
    same = kept("context", "search", "leaking pump", "--k", 2, *G, "--json").document(SearchAnswer)
    assert same == found
    shown = kept("query", "--text", "pump", "--explain", *G)
    assert "pump   1." in shown.out
    assert "sparse 1" in shown.out
    assert '"strategy": "PARALLEL"' in shown.err


@pytest.mark.parametrize(
    "flags",
    [
        ("--mode", "DENSE_FIRST"), ("--mode", "SPARSE_FIRST"), ("--fusion", "MAX_SCORE"), ("--rrf-k", 10), ("--dense-weight", 0),
        ("--sparse-weight", 1), ("--rerank-factor", 2), ("--graph-weight", 0.5), ("--deterministic",), ("--filter-kv", "n>=1"),
        ("--filter-json", '{"term": {"n": 1}}'), ("--filter-kv", "n=1", "--filter-json", '{"term": {"n": 1}}'),
    ],
)  # fmt: skip
def test_every_flag_of_a_search(kept, flags):
    assert (
        kept("query", "--text", "the pump leaks", *flags, *G, "--json").document(SearchAnswer).hits[0].doc_id == "pump"
    )


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("query", *G), "what is looked for"),
        (("query", "--text", "x"), "which memory"),
        (("query", "--text", "x", "--scope", "nope"), "no scope"),
        (("query", "--text", "x", "--scope", "task:none"), "nothing is kept in task:none"),
        (("query", "--text", "x", "--scope", "project"), "which project"),
        (("query", "--text", "x", "--k", 0, *G), "k is 0"),
        (("query", "--text", "x", "--filter-json", "{", *G), "--filter-json"),
        (("query", "--text", "x", "--filter-json", '{"op": "huh"}', *G), "filter"),
        (("query", "--text", "x", "--filter-kv", "no", *G), "no"),
        (("context", "add", "x", "--text", "y", "--meta", "z", *G), "KEY=VALUE"),
        (("context", "add", "pump", "--text", "y", "--expected", 7, *G), "version 7 was expected, found is version 1"),
        (("context", "add", "", "--text", "y", *G), "id"),
        (("context", "get", "nobody", *G), "there is no document 'nobody'"),
        (("context", "history", "nobody", *G), "never was"),
        (("context", "graph", "Nobody", *G), "says anything of 'Nobody'"),
        (("context", "rollback", "nope", *G), "no snapshot 'nope'"),
        (("context", "import", "not/there", *G), "no file or folder"),
        (("context", "import", "a.md", "", *G), "a path is empty"),
        (("context", "add", "x", "--text", "a\udcff", *G), "--text is no UTF-8 text"),
        (("context", "import", ".", "--tag", "", *G), "a tag has 1 to 200 characters"),
        (("context", "import", ".", "--tag", "x" * 201, *G), "a tag has 1 to 200 characters"),
        (("context", "get", "\udcff", *G), "no Unicode text"),
        (("context", "history", "\udcff", *G), "no Unicode text"),
        (("context", "get", "x" * 5000, *G), "1 to 1000 characters"),
        (("context", "graph", "x" * 5000, *G), "says anything of 'xxx"),
        (("context", "merge", "pump", "--base", 9, "--text", "x", *G), "9"),
        (("context", "merge", "x" * 5000, "--base", 0, "--text", "x", *G), "1 to 1000 characters"),
        (("context", "snapshot", "--remove", *G), "which label?"),
        (("context", "snapshot", "nope", "--remove", *G), "no snapshot 'nope'"),
    ],
)
def test_wrong_use_says_what_and_where(kept, args, said):
    answer = kept(*args)
    assert answer.code == 2
    assert said in answer.err
    assert "Traceback" not in answer.err


def test_without_a_command_it_says_which_there_are(cli):
    assert "a command is missing" in cli("context").err


def test_versions(kept):
    added = kept("context", "add", "pump", "--expected", 1, *G, "--json", stdin="The pump was mended.").document(
        Document
    )
    assert (added.version, added.parent_version, added.origin) == (2, 1, "cli")
    assert kept("context", "remove", "pump", "nobody", *G, "--json").document(Changed).changed == 1
    versions = kept("context", "history", "pump", *G, "--json").document(Documents).documents
    assert [(one.version, one.deleted) for one in versions] == [(1, False), (2, False), (3, True)]
    assert "(removed)" in kept("context", "history", "pump", *G).out
    assert kept("context", "get", "oven", *G).out == "The oven is hot at night."


def test_snapshots_compared_and_brought_back(kept):
    assert kept("context", "snapshot", "before", *G).code == 0
    kept("context", "add", "pump", "--text", "changed", *G)
    kept("context", "remove", "oven", *G)
    kept("context", "add", "new", "--text", "new", *G)
    found = kept("context", "diff", "before", *G, "--json").document(Difference)
    assert found == Difference(added=("new",), removed=("oven",), changed=("pump",))
    assert kept("context", "diff", "before", "now", *G).out.split() == ["+", "new", "-", "oven", "~", "pump"]
    assert kept("context", "rollback", "before", *G, "--json").document(Changed).changed == 3
    assert kept("context", "diff", "before", *G).out == "nothing changed\n"
    assert [one.label for one in kept("context", "snapshot", *G, "--json").document(Snapshots).snapshots] == ["before"]
    again = kept("context", "snapshot", "before", *G)
    assert again.code == 2
    assert "before" in again.err
    assert kept("context", "snapshot", "before", "--remove", *G).err == "before is dropped; it was place 3 of global\n"
    assert not kept("context", "snapshot", *G, "--json").document(Snapshots).snapshots


def test_merging(kept):
    kept("context", "add", "list", "--text", "a\nb\nc\nd\ne\n", *G)
    kept("context", "add", "list", "--text", "a\nb\nc\nd\nE\n", *G)
    merged = kept("context", "merge", "list", "--base", 1, "--text", "A\nb\nc\nd\ne\n", *G, "--json").document(
        MergeAnswer
    )
    assert merged.merged
    assert kept("context", "get", "list", *G).out == "A\nb\nc\nd\nE\n"
    clash = kept("context", "merge", "list", "--base", 1, "--text", "a\nb\nc\nd\nother\n", *G)
    assert clash.code == 1
    assert "<<<<<<<" in clash.out
    assert "1 conflict" in clash.err
    assert kept("context", "history", "list", *G, "--json").document(Documents).documents[-1].version == 3


def test_importing_and_statistics(cli, tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# One\nwords\n")
    (tmp_path / "docs" / "bad.md").write_bytes(b"\x00")
    where = ("--scope", "project:p")
    done = cli("context", "import", tmp_path / "docs", "--tag", "t", *where, "--json").document(Imported)
    assert (done.files, done.documents, len(done.skipped)) == (1, 1, 1)
    again = cli("context", "import", tmp_path / "docs", "--tag", "t", *where)
    assert "1 unchanged" in again.err
    assert "left out: docs/bad.md: bad.md is no text" in again.err
    (one,) = cli("context", "stats", "--json").document(Statistics).scopes
    assert (one["scope"], one["documents"]) == ("project:p", 1)
    assert "project:p" in cli("context", "stats").out
    assert cli("context", "stats", "--state", tmp_path / "none").err == "there is none\n"


def test_vectors_that_nobody_declared_do_not_switch_the_learned_ones_off(kept, tmp_path):
    lines = tmp_path / "docs.jsonl"
    lines.write_text('{"id": "v", "text": "A valve leaks.", "vector": [1, 0], "embedder": "m"}\n')
    kept("context", "import", lines, *G)
    found = kept("query", "leaking pump", *G, "--json").document(SearchAnswer)
    assert {hit.doc_id for hit in found.hits if hit.dense_rank} >= {"pump", "v"}
    assert found.explain["not_compared"].startswith("vectors that came with documents (1): they are not by hashing:")
    (one,) = kept("context", "stats", "--json").document(Statistics).scopes
    assert (one["unlike"], one["missing"]) == (1, 0)


def test_importing_without_the_files_that_are_gone(cli, tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in "abc":
        (docs / f"{name}.md").write_text(name)
    cli("context", "import", docs, *G)
    (docs / "a.md").unlink()
    assert "1 document is of files that are gone: --prune removes them" in cli("context", "import", docs, *G).err
    (docs / "b.md").unlink()
    told = cli("context", "import", docs, "--json", *G)
    assert (told.document(Imported).gone, "2 documents are of files that are gone" in told.err) == (2, True)
    pruned = cli("context", "import", docs, "--prune", "--json", *G)
    assert pruned.document(Imported).removed == 2
    assert "gone" not in pruned.err
    (docs / "c.md").unlink()
    empty = cli("context", "import", docs, "--prune", *G)
    assert "1 document is of files in folders that cannot be read, or are empty: they stay" in empty.err
    assert (empty.code, cli("context", "get", "docs/c.md#0", *G).out) == (1, "c")


def test_importing_says_what_was_passed_over(cli, tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in ("rows.jsonl", "a.xyz", "b.xyz", "empty.md"):
        (docs / name).touch()
    nothing = cli("context", "import", docs, *G)
    assert nothing.code == 1
    assert "passed over: 2 .xyz, 1 .jsonl, 1 no text" in nothing.err
    assert "clew context import FILE.jsonl" in nothing.err
    assert "there is no file with text in what was named" in nothing.err
    told = cli("context", "import", docs, "--json", *G)
    assert (told.code, told.document(Imported).passed[".xyz"].paths) == (1, ["docs/a.xyz", "docs/b.xyz"])
    (docs / "a.md").write_text("words")
    assert cli("context", "import", docs, *G).code == 0
    assert cli("context", "import", docs / "a.md", *G).err.count("passed over") == 0


def test_what_retention_removes_is_said(cli, plain, monkeypatch):
    monkeypatch.chdir(plain)
    docs = plain / "docs"
    docs.mkdir()
    for name in "abc":
        (docs / f"{name}.md").write_text(name)
    assert cli("context", "import", docs, "--json").document(Imported).forgotten == 0
    cli("context", "snapshot", "full")
    manifest = plain / "clew.yaml"
    manifest.write_text(manifest.read_text() + "\nmemory: {project_store: {retention: {max_items: 2}}}\n")
    back = cli("context", "rollback", "full", "--json").document(Changed)
    assert (back.changed, back.forgotten) == (1, 1)
    assert " as at full; 1 forgotten by retention (max_items 2)\n" in cli("context", "rollback", "full").err
    first = cli("context", "import", docs, "--json")
    assert (first.document(Imported).documents, first.document(Imported).forgotten) == (1, 1)
    again = cli("context", "import", docs)
    assert "1 document from 3 files" in again.err
    assert "2 unchanged, 0 removed, 0 left out; 1 forgotten by retention (max_items 2)" in again.err
    assert "note is at version 1 in project:plain; 1 forgotten by retention (max_items 2)" in (
        cli("context", "add", "note", "--text", "x").err
    )


def test_the_backend_is_said(cli, plain, monkeypatch):
    manifest = plain / "clew.yaml"
    declared = manifest.read_text() + "\nmemory: {project_store: {backend: file}}\n"
    manifest.write_text(declared)
    monkeypatch.chdir(plain)
    cli("context", "add", "note", "--text", "x")
    manifest.write_text(declared.replace("file", "sqlite"))
    (one,) = cli("context", "stats", "--json").document(Statistics).scopes
    assert one["backend"] == "file"
    assert " file " in cli("context", "stats").out


def test_more_than_fits_is_refused(cli, monkeypatch):
    monkeypatch.setattr(remembering, "MAX_INPUT", 10)
    answer = cli("context", "add", "a", *G, stdin="x" * 11)
    assert answer.code == 2
    assert "more than 10 bytes" in answer.err


def test_statistics_count_what_a_project_keeps_elsewhere(cli, plain, monkeypatch):
    manifest = plain / "clew.yaml"
    manifest.write_text(manifest.read_text() + "\nmemory: {project_store: {path: kept, backend: file}}\n")
    monkeypatch.chdir(plain)
    assert cli("context", "add", "a", "--text", "words here").code == 0
    (one,) = cli("context", "stats", "--json").document(Statistics).scopes
    assert one["documents"] == 1
    assert "/kept/" in one["folder"]
    monkeypatch.chdir(plain.parent)
    assert cli("context", "stats", "--json").document(Statistics).scopes == []
    assert cli("context", "stats", "--project", plain, "--json").document(Statistics).scopes == [one]


def test_broken_manifests_that_are_here_do_not_hide_what_is_kept(kept, plain, monkeypatch):
    assert kept("context", "add", "a", "--text", "words here", "--project", plain).code == 0
    (plain / "clew.yaml").write_text("workflow: [")
    monkeypatch.chdir(plain)
    said = "without the project that is here, whose manifests have problems: clew check\n"
    found = kept("query", "pump", *G)
    assert (found.code, found.err, "pump" in found.out) == (0, said, True)
    assert kept("context", "get", "a", "--scope", "project:plain").out == "words here"
    told = kept("context", "stats", "--json")
    assert [one["scope"] for one in told.document(Statistics).scopes] == ["global", "project:plain"]
    assert told.err == said
    for args in (("query", "pump"), ("query", "pump", "--scope", "project"), ("query", "pump", *G, "--project", ".")):
        assert "the project has 1 problem" in kept(*args).err
    assert kept("context", "stats", "--project", ".").code == 2
    for args in (
        ("add", "b", "--text", "x"),
        ("remove", "a"),
        ("rollback", "0"),
        ("merge", "a", "--base", 1, "--text", "x"),
    ):
        assert kept("context", *args, *G).code == 2, "the project may say that it is kept elsewhere"
    assert kept("context", "snapshot", *G).code == 0
    assert kept("context", "snapshot", "now-here", *G).code == 2


def test_in_a_projects_directory_that_project_is_meant(cli, plain, monkeypatch):
    monkeypatch.chdir(plain)
    assert cli("context", "add", "a", "--text", "words here").code == 0
    found = json.loads(cli("query", "--text", "words", "--json").out)
    assert found["hits"][0]["scope"].startswith("project:")


def test_without_its_libraries_it_says_what_to_install(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name="numpy")

    monkeypatch.setattr(table, "import_module", missing)
    with pytest.raises(UsageError, match=r"clew query needs numpy.*pip install 'clew\[context\]'"):
        table.load("query")


def test_vectors_by_the_projects_model(cli, plain, monkeypatch):
    manifest = plain / "clew.yaml"
    manifest.write_text(
        manifest.read_text() + "\nproviders: [{id: p, type: offline}]\nmemory: {embedding: {model: p/small}}\n"
    )
    monkeypatch.chdir(plain)
    assert "p/small: 1 vector made; 3 tokens, $0" in cli("context", "add", "a", "--text", "the pump leaks").err
    manifest.write_text(manifest.read_text().replace("p/small", "p/other"))
    remark = "vectors that came with documents (1): they are not by p/other; clew context embed makes them anew\n"
    assert cli("query", "--text", "pump").err == remark
    assert cli("query", "pump", "--scope", "project:plain").err.endswith(
        "clew context embed --scope project:plain makes them anew\n"
    )
    assert cli("context", "stats", "--scope", "project", "--json").document(Statistics).scopes[0]["missing"] == 1
    made = cli("context", "embed", "--json").document(Embedded)
    assert (made.model, made.documents, made.missing, made.cost) == ("p/other", 1, 0, "0")
    assert "p/other: 0 vectors made" in cli("context", "embed").err
    assert cli("query", "--text", "pump").err == ""
    assert "p/other" in cli("query", "--text", "pump", "--explain").err
    assert cli("context", "add", "a", "--text", "x", "--scope", "global").code == 0
    assert "no embedding model" in cli("context", "embed", "--scope", "global").err
