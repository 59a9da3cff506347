"""Memory for people and scripts: what a scope is, what is written, merged, rolled back, and what is never shown."""

import msgspec
import pytest

from clew.context.graph.walk import When
from clew.context.ingest.files import Options
from clew.core.errors import ManifestError, NotFound, UsageError
from clew.gate.ports.context import Put, Query, Relation
from clew.service import context
from clew.service.settings import Settings
from clew.testing import one_node, write_project

KEY = "sk-Zq8xTr4Vn2Lp9Ks7Wd3Yb6"
OPEN = "hunter2-of-the-pump"


@pytest.fixture
def settings(tmp_path):
    return Settings(state=str(tmp_path / "state"))


@pytest.fixture
def scoped(settings, clock):
    with context.opened(settings, "project:p", use="create", clock=clock) as found:
        yield found


@pytest.fixture
def declared(tmp_path):
    """A project whose memory section and credentials are these."""

    def make(name="demo", **sections):
        manifest = msgspec.yaml.decode(one_node(name, "handlers:work")) | sections
        return write_project(tmp_path / name, manifest, "def work(input, ctx):\n    return input\n")

    return make


def found(scoped, text):
    return [hit.doc_id for hit in scoped.search(Query(text=text)).hits]


def test_written_read_and_removed(scoped, clock):
    document = scoped.add(Put(id="a", text="Ann Lee leads Search Core.", metadata={"n": 1}))
    assert (document.version, document.parent_version, document.origin, document.at) == (1, 0, "cli", clock.now())
    assert scoped.add(Put(id="a", text="Ann Lee leads Search Core.", metadata={"n": 1})).version == 1
    assert scoped.remove(["a", "nobody"]) == 1
    with pytest.raises(NotFound, match="there is no document 'a' in project:p"):
        scoped.document("a")
    assert [one.deleted for one in scoped.history("a")] == [False, True]
    with pytest.raises(NotFound, match="never was"):
        scoped.history("nobody")


def test_looking_removes_nothing(settings, declared, clock):
    keep = {"retention": {"max_items": 1}}
    bounded = declared("bounded", memory={"project_store": keep, "session_store": keep, "global_store": keep})
    for scope in ("project:other", "session:theirs", "global"):
        with context.opened(settings, scope, use="create", clock=clock) as scoped:
            for name in "abc":
                scoped.add(Put(id=name, text=name))
    for where in (None, bounded):
        context.statistics(settings, where)
        for scope in ("project:other", "session:theirs", "global"):
            with context.opened(settings, scope, where, clock=clock) as scoped:
                assert len(found(scoped, "a b c")) == 3
    with context.opened(settings, "project:other", bounded, use="create", clock=clock) as scoped:
        scoped.add(Put(id="d", text="d"))
        assert len(found(scoped, "a b c d")) == 4, "how much another project keeps is its own affair"
    for scope in ("project", "global"):
        with context.opened(settings, scope, bounded, use="create", clock=clock) as scoped:
            for name in "de":
                scoped.add(Put(id=name, text=name))
            assert found(scoped, "a b c d e") == ["e"]


def test_relations_are_extracted_unless_they_are_given(scoped):
    scoped.add(Put(id="a", text="Ann Lee leads Search Core."))
    scoped.add(Put(id="b", text="Ann Lee leads nobody.", relations=(Relation(subject="X", relation="is", object="Y"),)))
    scoped.add(Put(id="c", text="Bob Ray leads Search Core."), graph=False)
    facts = scoped.graph("Search Core", None, 1, When()).facts
    assert {one.document for one in facts} == {"a"}
    assert scoped.graph("X", "Y", 2, When()).paths[0].entities == ("X", "Y")
    with pytest.raises(NotFound, match="says anything of 'Bob Ray'"):
        scoped.graph("Bob Ray", None, 1, When())


def test_relations_of_the_same_text_that_came_from_elsewhere_stay(scoped):
    stated = (Relation(subject="Bob Ray", relation="leads", object="Search Core", valid_to=5),)
    scoped.add(Put(id="a", text="Bob leads Search Core.", relations=stated))
    assert scoped.add(Put(id="a", text="Bob leads Search Core.")).version == 1
    assert scoped.add(Put(id="a", text="Bob leads Search Core.", metadata={"n": 1})).version == 2
    assert [one.subject for one in scoped.graph("Search Core", None, 1, When()).facts] == ["Bob Ray"]
    scoped.add(Put(id="a", text="Ann Lee leads Search Core."))
    answer = scoped.graph("Search Core", None, 1, When())
    assert answer.facts[0].subject == "Ann Lee"
    assert (answer.closed, answer.closed_at) == (1, answer.facts[0].since)


def test_a_merge_keeps_the_graph(scoped):
    scoped.add(Put(id="a", text="Ann Lee leads Search Core.\n\nx\n\ny\n"))
    scoped.add(Put(id="a", text="Ann Lee leads Search Core.\n\nx\n\nz\n"))
    merged = scoped.merge(1, Put(id="a", text="Ann Lee leads Search Core.\n\nBob Ray leads Search Core.\n\ny\n"))
    assert merged.merged
    facts = scoped.graph("Search Core", None, 1, When()).facts
    assert {one.subject for one in facts if one.relation == "leads"} == {"Ann Lee", "Bob Ray"}


def test_a_merge_keeps_facts_that_somebody_stated(scoped):
    stated = (Relation(subject="X", relation="is", object="Y"),)
    scoped.add(Put(id="a", text="one\n", relations=stated))
    assert scoped.merge(1, Put(id="a", text="two\n")).merged
    assert scoped.graph("X", None, 1, When()).facts[0].object == "Y"


def test_a_conflict_writes_nothing(scoped):
    scoped.add(Put(id="a", text="one\n"))
    scoped.add(Put(id="a", text="two\n"))
    merged = scoped.merge(1, Put(id="a", text="three\n"))
    assert (merged.merged, len(merged.conflicts), merged.version) == (False, 1, 2)
    assert "<<<<<<<" in merged.text
    assert scoped.document("a").text == "two\n"


def test_long_texts_are_cut_in_lists_only(scoped):
    text = "word " * 1000
    assert scoped.add(Put(id="a", text=text)).text == text
    assert scoped.history("a")[0].text.endswith("[cut: 2,000 of 5,000 characters]")
    (hit,) = scoped.search(Query(text="word")).hits
    assert hit.text.endswith("[cut: 2,000 of 5,000 characters]")


def test_an_old_version_is_read_whole(scoped):
    for text in ("one " * 1250, "two " * 1250):
        scoped.add(Put(id="a", text=text))
    assert scoped.document("a", 1).text == "one " * 1250
    assert scoped.document("a", 2) == scoped.document("a")
    with pytest.raises(NotFound, match="never had a version 3"):
        scoped.document("a", 3)
    with pytest.raises(UsageError, match="can be no document id"):
        scoped.document("", 1)


def test_what_was_written_last_and_what_a_filter_lets_through(scoped):
    for name in "abc":
        scoped.add(Put(id=name, text=name * 3000, metadata={"odd": name != "b"}))
    scoped.add(Put(id="a", text="again", metadata={"odd": True}))
    assert [(one.id, len(one.text) > 2000) for one in scoped.newest(2, None)] == [("a", False), ("c", True)]
    assert [one.id for one in scoped.newest(9, {"term": {"odd": False}})] == ["b"]
    assert scoped.matching({"term": {"odd": True}}) == ["a", "c"]
    with pytest.raises(UsageError, match="filter"):
        scoped.matching({"op": "huh"})


def test_what_was_made_of_a_version_has_its_metadata(scoped):
    scoped.add(Put(id="a", text="x", metadata={"n": 1, "password": "p4ss"}))
    scoped.add(Put(id="a", text="x"))
    assert scoped.made_of(1, "a", "y", {"n": 2}).metadata == {"n": 2, "password": "p4ss"}
    assert scoped.made_of(2, "a", "y", {}).metadata == scoped.made_of(0, "new", "y", {}).metadata == {}


def test_a_label_is_dropped(scoped):
    scoped.add(Put(id="a", text="one"))
    assert scoped.unlabel(scoped.snapshot("first").label).place == 1
    assert scoped.snapshots() == {}
    with pytest.raises(NotFound, match="no snapshot 'first'"):
        scoped.unlabel("first")


def test_snapshots_places_and_rolling_back(scoped):
    scoped.add(Put(id="a", text="one"))
    label = scoped.snapshot("first")
    scoped.add(Put(id="a", text="two"))
    assert (label.place, scoped.place("first"), scoped.place("now"), scoped.place("1")) == (1, 1, 2, 1)
    assert scoped.difference("first", "now").changed == ("a",)
    assert scoped.rollback("first") == 1
    assert (scoped.document("a").text, scoped.document("a").origin) == ("one", "cli:rollback")
    assert scoped.rollback("first") == 0
    assert found(scoped, "one") == ["a"]
    for name in ("nobody", "99", "-1", "1.5", "٣", "9" * 5000):
        with pytest.raises(NotFound, match="no snapshot"):
            scoped.place(name)


def test_what_retention_removes_is_told(settings, clock, declared, tmp_path):
    kept = {"max_items": 2, "max_age": "1d", "max_size": "1MiB"}
    project = declared("p", memory={"project_store": {"retention": kept}})
    for name in "abc":
        (tmp_path / f"{name}.md").write_text(name)
    files = [tmp_path / f"{name}.md" for name in "abc"]
    with context.opened(settings, "project", project, use="create", clock=clock) as scoped:
        scoped.add(Put(id="old", text="old"))
        assert scoped.forgotten == 0
        scoped.snapshot("before")
        done = scoped.import_files(files, Options(), lambda report, name: None)
        assert (done.documents, done.removed, done.forgotten, scoped.stats()["documents"]) == (3, 0, 2, 2)
        assert scoped.rollback("before") == 3
        assert (scoped.forgotten, scoped.retention) == (2, "max_items 2, max_age 86,400 s, max_size 1,048,576 bytes")
    clock.advance(2 * 86_400_000)
    with context.opened(settings, "project", project, clock=clock) as scoped:
        assert (scoped.forgotten, scoped.stats()["documents"]) == (0, 0), "opening it removed them"


@pytest.mark.parametrize("label", ["now", "7", "", "a\nb", "x" * 1001])
def test_what_can_be_no_label_is_refused(scoped, label):
    with pytest.raises(UsageError, match="can be no label"):
        scoped.snapshot(label)


def test_files_and_lines_together(scoped, tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# One\nwords\n")
    (tmp_path / "notes.jsonl").write_text('{"id": "n", "text": "lines"}\n')
    told = []
    done = scoped.import_files(
        [tmp_path / "docs", tmp_path / "notes.jsonl"], Options(tags=("t",)), lambda report, name: told.append(name)
    )
    assert (done.scope, done.files, done.documents, done.skipped) == ("project:p", 2, 2, [])
    assert {"docs/a.md", "notes.jsonl"} <= set(told)
    assert scoped.stats()["documents"] == 2


def test_a_project_says_which_scope_it_is(settings, declared, clock):
    project = declared("demo")
    with context.opened(settings, "project", project, use="create", clock=clock) as scoped:
        assert scoped.scope == "project:demo"
        scoped.add(Put(id="a", text="x"))
    assert [one["scope"] for one in context.statistics(settings)] == ["project:demo"]
    with pytest.raises(UsageError, match="which project"), context.opened(settings, "project"):
        pass
    with pytest.raises(ManifestError), context.opened(settings, "project", declared("bad", memory={"huh": 1})):
        pass


@pytest.mark.parametrize("backend", ["sqlite", "file"])
def test_a_projects_own_paths_are_counted_and_used_for_every_scope(settings, declared, backend):
    kept = {"backend": backend, "path": "elsewhere/kept"}
    project = declared("demo", memory={"project_store": kept, "session_store": kept})
    for scope, implied in (("project", False), ("session:s", True), ("global", True)):
        with context.opened(settings, scope, project, use="create", implied=implied) as scoped:
            scoped.add(Put(id="a", text="x"))
    with context.opened(settings, "project:demo", use="create") as scoped:
        scoped.add(Put(id="b", text="of another project of this name"))
    state = settings.directory
    told = [
        (one["scope"], one["folder"].removeprefix(f"{state}/").split("/")[0])
        for one in context.statistics(settings, project)
    ]
    assert told == [
        ("global", "context"), ("project:demo", "context"), ("project:demo", "elsewhere"), ("session:s", "elsewhere"),
    ]  # fmt: skip
    assert [one["scope"] for one in context.statistics(settings)] == ["global", "project:demo"]


def test_a_model_that_nobody_named_serves_its_own_project_alone(settings, declared):
    sections = {"providers": [{"id": "p", "type": "offline"}], "memory": {"embedding": {"model": "p/small"}}}
    project = declared("demo", **sections)
    for scope, implied, model in (
        ("project", True, "p/small"), ("project:demo", True, "p/small"), ("global", True, None), ("global", False, "p/small"),
    ):  # fmt: skip
        with context.opened(settings, scope, project, use="create", implied=implied) as scoped:
            scoped.add(Put(id=f"{scope}{implied}", text="words"))
            assert (scoped.embedded.model if scoped.embedded else None) == model


def test_what_was_never_written_is_not_made_by_looking(settings):
    with pytest.raises(NotFound, match="nothing is kept in task:x"), context.opened(settings, "task:x"):
        pass
    assert [one["scope"] for one in context.statistics(settings)] == []


@pytest.mark.parametrize(
    "scope", ["", "projects", "project:", "global:x", "task:" + "x" * 201, "task:a\nb", "session:\x00"]
)
def test_what_is_no_scope_is_refused(settings, scope):
    with pytest.raises(UsageError), context.opened(settings, scope, use="create"):
        pass
    assert [one["scope"] for one in context.statistics(settings)] == []


@pytest.mark.parametrize("name", ["..", "../../etc", "a/b", "a=b", "~", "~x", "%2e", " ", "CON", "日本", "x" * 200])
def test_an_odd_name_is_a_scope_like_any_other(settings, tmp_path, name):
    with context.opened(settings, f"task:{name}", use="create") as scoped:
        scoped.add(Put(id="../../a", text="x"))
        assert scoped.document("../../a").text == "x"
    folders = [path.parent for path in (tmp_path / "state").rglob("truth.db")]
    assert len(folders) == 1
    assert folders[0].parent == tmp_path / "state" / "context" / "tenant=local"


def test_tenants_never_see_each_other(settings):
    for tenant in ("a", "a/../b", "b", "..", "A"):
        theirs = msgspec.structs.replace(settings, tenant=tenant)
        assert [one["scope"] for one in context.statistics(theirs)] == []
        with context.opened(theirs, "global", use="create") as scoped:
            scoped.add(Put(id="a", text=f"of {tenant}"))
    for tenant in ("a", "b", "A"):
        with context.opened(msgspec.structs.replace(settings, tenant=tenant), "global") as scoped:
            assert scoped.document("a").text == f"of {tenant}"


def test_secrets_are_not_shown(settings, declared, monkeypatch):
    monkeypatch.setenv("PUMP_KEY", OPEN)
    credentials = [
        {"id": "c", "provider": "openai", "auth": {"type": "api_key", "source": "env", "env_var": "PUMP_KEY"}}
    ]
    project = declared("demo", provider_credentials=credentials)
    with context.opened(settings, "project", project, use="create") as scoped:
        text = f"Ann Lee leads Search Core. The key is {KEY}, or {OPEN}.\n"
        answers = [
            scoped.add(Put(id="a", text=text, metadata={"password": "p4ss", "note": OPEN})), *scoped.history("a"),
            scoped.search(Query(text="key")), scoped.graph("Ann Lee", None, 1, When()),
            scoped.add(Put(id="a", text="x\n")), scoped.merge(1, Put(id="a", text=text + "y\n")),
        ]  # fmt: skip
        told = msgspec.json.encode(answers).decode()
        assert "The key is [redacted], or [redacted]." in told
        for secret in (KEY, OPEN, "p4ss"):
            assert secret not in told
        assert OPEN in scoped.collection.log.history("a")[0].text, "what is kept is what was said"
