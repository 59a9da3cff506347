"""A provider's embedding model in memory: in runs, where it is recorded, and outside of them, where its cost is noted."""

import asyncio
import json
import logging
import sys

import numpy as np
import pytest

from clew.context.embed.spent import spent
from clew.context.ingest.files import Options
from clew.core import events as ev
from clew.core.errors import Failure, UsageError
from clew.gate.ports.context import Put, Query
from clew.service import embedding as module
from clew.service.context import opened, statistics
from clew.service.portal import Portal
from clew.service.settings import Settings
from clew.testing import FakeProvider, ScriptedModel
from clew.testing.provider import Step

HANDLERS = """
    async def keep(input, ctx):
        return [await ctx.remember(f"note-{i}", text) for i, text in enumerate(input)]

    async def find(input, ctx):
        return [[hit["doc_id"], hit["dense_rank"]] for hit in await ctx.search(input or "pump leaks", k=2)]

    def seen(input, ctx):
        return [[item["id"], item["reason"]] for item in ctx.context["items"]], ctx.context.get("words_alone")

    async def tool(input, ctx):
        return [one["id"] for one in (await ctx.call("search_context", {"query": input}))["documents"]]
"""
NOTES = ["The pump in hall 3 leaks", "Bread is baked at night"]


@pytest.fixture
def one(project, engine, tmp_path):
    """An engine whose one working node has these fields; all of them share one state directory."""

    def make(handler, embedding=None, url="", mode=None, **work):
        nodes = [
            {"id": "s", "role": "start"},
            {"id": "a", "role": "linear", "handler": f"handlers:{handler}", **work},
            {"id": "x", "role": "exit"},
        ]
        house = {"id": "p", "type": "openai_compatible", "base_url": url + "/v1", "prices": {"input": 2}}
        sections = {
            "memory": {
                "embedding": embedding or {"model": "p/small"},
                "context_profiles": [
                    {"id": "notes", "retrieval_policy": "semantic", "sources": [{"store": "project"}]}
                ],
            },
            "providers": [house if url else {"id": "p", "type": "offline"}],
            "tools": [{"id": "search_context", "type": "builtin"}],
        }
        return engine(project(nodes, "s>a>x", HANDLERS, **sections), state=str(tmp_path / "state"))

    return make


def effects(result, kind="embedding"):
    return [
        r.event for r in result.history if isinstance(r.event.fact, ev.EffectFinished) and r.event.fact.kind == kind
    ]


async def test_documents_and_queries_are_embedded_by_effects_of_their_own(one):
    async with FakeProvider(Step(), repeat=True) as fake:
        kept = await one("keep", url=fake.url).run(NOTES)
        finding = one("find", url=fake.url)
        found = await finding.run()
        asked = len(fake.seen)
        for handlers in (False, True):
            assert (await finding.replay(found.run_id, handlers=handlers)).verdict == "identical"
        assert len(fake.seen) == asked == 3
    assert found.output[0] == ["note-0", 1]
    first, _ = effects(kept)
    assert first.fact.key.endswith("/1/embedding")
    assert first.fact.cost == "0.00002"
    assert set(first.payload["output"]) == {"vectors", "dims", "model"}
    assert kept.cost == "0.00004"
    put, _ = effects(kept, "context")
    assert "vector" not in str(put.payload["request"])


async def test_a_project_runs_without_a_key(one):
    await one("keep").run(NOTES)
    finding = one("find")
    found = await finding.run()
    assert found.output[0] == ["note-0", 1]
    (context,) = effects(found, "context")
    assert context.payload["output"]["explain"]["project"]["embedder"] == "p/small"
    assert (await finding.run(" ")).status == "failure"


async def test_models_of_a_test_stand_in_for_embedding_models_too(one):
    keeping = one("keep", url="http://127.0.0.1:1")
    keeping._models = ScriptedModel("x")
    assert effects(await keeping.run(NOTES))[0].fact.status == "ok"


async def test_without_the_model_words_are_enough_and_the_reason_is_recorded(one):
    async with FakeProvider(Step(status=401), repeat=True) as fake:
        assert (await one("keep", url=fake.url).run(NOTES)).output == [1, 1]
        found = await one("find", url=fake.url).run()
        seen = await one("seen", url=fake.url, context="notes").run("pump")
    assert found.output == [["note-0", None]]
    (context,) = effects(found, "context")
    assert "401" in context.payload["output"]["explain"]["project"]["words_alone"]
    items, why = seen.output
    assert [name for name, _ in items] == ["note-0"]
    assert "401" in why


async def test_a_mode_without_network_goes_by_words(one):
    async with FakeProvider(Step(), repeat=True) as fake:
        await one("keep", url=fake.url).run(NOTES)
        asked = len(fake.seen)
        found = await one("find", url=fake.url).run(None, None, "safe_mode")
        assert len(fake.seen) == asked
    assert found.output == [["note-0", None]]
    assert effects(found)[0].fact.status == "denied"
    assert (await one("find").run(None, None, "safe_mode")).output[0][0] == "note-0"


async def test_context_and_the_search_tool_have_vectors_too(one):
    await one("keep").run(NOTES)
    seen = await one("seen", context="notes").run("the pump leaks")
    assert seen.output[0][0][0] == "note-0"
    assert effects(seen)[0].fact.key.endswith("/context/embedding")
    using = one("tool", tools=["search_context"])
    found = await using.run("pump leaks")
    assert found.output[0] == "note-0"
    assert len(effects(found)) == 1
    assert (await using.replay(found.run_id)).verdict == "identical"


async def test_what_was_embedded_before_a_crash_is_not_asked_for_again(one, crash):
    async with FakeProvider(Step(), repeat=True) as fake:
        keeping = one("keep", url=fake.url)
        with crash(keeping, lambda fact: isinstance(fact, ev.EffectFinished) and fact.kind == "context"):
            handle = await keeping.start(NOTES[:1])
            with pytest.raises(Exception, match="no space"):
                await handle.result()
        await keeping.close()
        again = one("keep", url=fake.url)
        (result,) = await again.resume(handle.run_id)
        assert result.output == [1]
        assert len(fake.seen) == 1


async def test_a_fork_asks_only_for_what_it_changes(one, seq_of):
    async with FakeProvider(Step(), repeat=True) as fake:
        await one("keep", url=fake.url).run(NOTES)
        finding = one("find", url=fake.url)
        found = await finding.run("pump")
        asked = len(fake.seen)
        same = await finding.fork(found.run_id, seq_of(found, "EffectFinished", kind="context"))
        assert (same.output, len(fake.seen)) == (found.output, asked)
        other = await finding.fork(found.run_id, 1, {"": "bread"})
        assert (other.output[0][0], len(fake.seen)) == ("note-1", asked + 1)


# -- what lacks vectors ------------------------------------------------------------------------------------------------


async def idle(engine):
    for background in engine.workspace.memories.backgrounds:
        await background.idle()


async def test_a_change_of_the_model_makes_the_vectors_anew_in_the_background(one, tmp_path):
    await one("keep", {"model": "p/old"}).run(NOTES)
    finding = one("find", {"model": "p/new", "dimensions": 64, "batch": 1})
    await finding.run()
    await idle(finding)
    found = await finding.run()
    assert found.output[0] == ["note-0", 1]
    (context,) = effects(found, "context")
    assert context.payload["output"]["explain"]["project"]["embedder"] == "p/new@64"
    (folder,) = (tmp_path / "state").rglob("project=project")
    assert {name: one.texts for name, one in spent(folder).items()} == {"p/new@64": 2}


async def test_what_came_while_the_model_was_down_is_made_up_for(one, clock, caplog):
    async with FakeProvider(Step(status=401), Step(status=401), Step(), Step(status=401), Step(), Step()) as fake:
        engine = one("keep", url=fake.url)
        await engine.run(NOTES)
        finding = one("find", url=fake.url)
        with caplog.at_level(logging.WARNING, "clew.context"):
            assert (await finding.run()).output == [
                ["note-0", None]
            ]  # the query is embedded, the background is refused
            await idle(finding)
        (said,) = caplog.records
        assert "project:project: vectors are missing, and p/small could not make them" in said.message
        assert (await finding.run()).output == [["note-0", None]]  # too soon to ask again
        await idle(finding)
        assert len(fake.seen) == 5
        clock.advance(60_000)
    async with FakeProvider(Step(), repeat=True) as fake:
        finding = one("find", url=fake.url)
        await finding.run()
        await idle(finding)
        assert (await finding.run()).output[0] == ["note-0", 1]


async def test_one_text_that_is_refused_does_not_keep_back_the_others(one, tmp_path):
    def answer(seen):
        return Step(status=400) if any("bread" in text.lower() for text in seen.body["input"]) else Step()

    await one("keep", {"model": "p/old"}).run([*NOTES, "Oil is short"])
    async with FakeProvider(script=answer) as fake:
        finding = one("find", url=fake.url)
        await finding.run()
        await idle(finding)
        found = await finding.run("oil")
    assert [name for name, rank in found.output if rank] == ["note-2", "note-0"]


async def test_a_model_that_takes_nothing_is_not_asked_for_ever(one):
    def answer(seen):
        return Step() if len(seen.body["input"]) == 1 and seen.body["input"] == ["pump leaks"] else Step(status=404)

    await one("keep", {"model": "p/old"}).run([f"note {i}" for i in range(40)])
    async with FakeProvider(script=answer) as fake:
        finding = one("find", url=fake.url)
        await finding.run()
        await idle(finding)
        assert len(fake.seen) < 15


# -- a local model -----------------------------------------------------------------------------------------------------


def write_model(folder, seed=7):
    """A static embedding model of a few words."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["[UNK]", "the", "pump", "leaks", "bread", "night"]
    model = {"type": "WordLevel", "vocab": {word: place for place, word in enumerate(words)}, "unk_token": "[UNK]"}
    parts = {
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
    }
    whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "model": model, **parts}
    (folder / "tokenizer.json").write_text(json.dumps(whole))
    rows = np.random.default_rng(seed).standard_normal((len(words), 16)).astype("<f4")
    header = json.dumps(
        {"embeddings": {"dtype": "F32", "shape": rows.shape, "data_offsets": [0, rows.nbytes]}}
    ).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + rows.tobytes())


async def test_a_local_model_needs_no_effect_of_its_own(one, tmp_path):
    write_model(tmp_path / "project" / "tiny")
    kept = await one("keep", {"folder": "tiny"}).run(NOTES)
    assert kept.output == [1, 1]
    finding = one("find", {"folder": "tiny"})
    found = await finding.run(None, None, "safe_mode")
    assert found.output[0] == ["note-0", 1]
    assert effects(found) == []
    (context,) = effects(found, "context")
    assert context.payload["output"]["explain"]["project"]["embedder"].startswith("local:tiny:")
    assert (await finding.replay(found.run_id)).verdict == "identical"


async def test_another_version_of_a_local_model_makes_the_vectors_anew(one, tmp_path):
    write_model(tmp_path / "project" / "tiny")
    await one("keep", {"folder": "tiny"}).run(NOTES)
    write_model(tmp_path / "project" / "tiny", seed=8)
    finding = one("find", {"folder": "tiny"})
    await finding.run()
    await idle(finding)
    found = await finding.run()
    assert found.output[0] == ["note-0", 1]
    write_model(tmp_path / "project" / "tiny", seed=9)
    await asyncio.to_thread(by_hand, tmp_path)


def by_hand(tmp_path):
    with opened(Settings(state=str(tmp_path / "state")), "project", tmp_path / "project") as scoped:
        assert scoped.stats()["missing"] == 2
        assert scoped.embed().documents == 2
        scoped.add(put("c", "bread"))
        assert scoped.search(Query(text="bread"), {"k": 1}).hits[0].dense_rank == 1
        assert scoped.embedded is None


async def test_statistics_are_by_the_model_that_is_here(one, tmp_path):
    write_model(tmp_path / "project" / "tiny")
    await one("keep", {"folder": "tiny"}).run(NOTES)
    write_model(tmp_path / "project" / "tiny", seed=8)
    settings = Settings(state=str(tmp_path / "state"))
    with opened(settings, "global", use="create") as scoped:
        scoped.add(put("g", "of no project"))
    for implied, missing in ((True, 0), (False, 1)):
        everywhere, ours = statistics(settings, tmp_path / "project", implied=implied)
        assert (ours["embedder"][:11], ours["missing"]) == ("local:tiny:", 2)
        assert (everywhere["scope"], everywhere["missing"]) == ("global", missing), "as in a search"
    with opened(settings, "project", tmp_path / "project") as scoped:
        assert scoped.model == ours["embedder"]
        explain = scoped.search(Query(text="pump")).explain
        assert explain["not_compared"].startswith("vectors that came with documents (2): they are not by local:tiny:")


async def test_a_local_model_that_is_not_there_is_named(one, tmp_path, monkeypatch):
    result = await one("keep", {"folder": "nowhere"}).run(NOTES)
    assert result.error["code"] == "context_unavailable"
    assert "holds no model" in result.error["message"]
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    monkeypatch.delitem(sys.modules, "clew.context.embed.local", raising=False)
    result = await one("keep", {"folder": "nowhere"}).run(NOTES)
    assert "tokenizers, which is not installed" in result.error["message"]


# -- outside of runs ---------------------------------------------------------------------------------------------------


@pytest.fixture
def hand(tmp_path, project, monkeypatch):
    """``hand(port, scope, model, key)``: the scope opened as a command opens it."""
    settings = Settings(state=str(tmp_path / "state"))

    def enter(url, model="p/small", **options):
        nodes = [{"id": "s", "role": "start"}, {"id": "x", "role": "exit"}]
        house = {
            "id": "p",
            "type": "openai_compatible",
            "base_url": url + "/v1",
            "prices": {"input": 2},
            "credential": "k",
        }
        sections = {
            "memory": {"embedding": {"model": model, "batch": 2}},
            "providers": [house],
            "provider_credentials": [{"id": "k", "auth": {"source": "env", "env_var": "HAND_KEY"}}],
        }
        monkeypatch.setenv("HAND_KEY", "sk-invented-0123456789")
        return opened(settings, "project", project(nodes, "s>x", "", **sections), use="create", **options)

    return enter


@pytest.fixture
def fake():
    """A fake provider in a thread of its own, for blocking callers."""
    portal, running = Portal(), []

    def start(*steps, **options):
        one = FakeProvider(*steps, **options)
        portal.call(one.__aenter__())
        running.append(one)
        return one

    yield start
    for one in running:
        portal.call(one.__aexit__())
    portal.close()


def put(name, text):
    return Put(id=name, text=text)


def test_by_hand_too_and_the_cost_is_shown(hand, fake):
    server = fake(Step(), repeat=True)
    with hand(server.url) as scoped:
        scoped.add(put("a", "the pump leaks"))
        scoped.add(put("b", "bread is baked"))
        assert scoped.embedded.documents == 1
        found = scoped.search(Query(text="the pump"), {"k": 1})
        assert (found.hits[0].doc_id, found.hits[0].dense_rank) == ("a", 1)
        told = found.explain["embedding"]
        assert (told["model"], told["missing"], told["tokens"], told["cost"]) == ("p/small", 0, 30, "0.00006")
        assert scoped.search(Query(text="the pump", vector=b"\0" * 32)).hits
        stats = scoped.stats()
    assert stats["spent"] == {"p/small": {"requests": 3, "texts": 3, "tokens": 30, "cost": "0.00006", "unpriced": 0}}
    assert stats["missing"] == 0
    assert len(server.seen) == 3
    assert server.seen[0].headers["authorization"] == "Bearer sk-invented-0123456789"


def test_an_import_embeds_in_batches_and_goes_on_where_it_was(hand, fake, tmp_path):
    for name in "abcde":
        (tmp_path / f"{name}.txt").write_text(f"text {name}")
    paths = sorted(tmp_path.glob("*.txt"))
    server, said = fake(Step(), Step(status=401), Step(), repeat=True), []
    with hand(server.url) as scoped:
        done = scoped.import_files(paths, Options(), lambda _, name: said.append(name))
        assert (done.documents, done.embedding.documents, done.embedding.missing) == (5, 0, 3)
        assert "401" in done.embedding.why
        assert "2 of 5 vectors" in said
        more = scoped.embed()
        assert (more.documents, more.missing) == (3, 0)
    assert [len(seen.body["input"]) for seen in server.seen] == [2, 2, 2, 1]


def test_without_an_answer_words_are_enough(hand, fake):
    server = fake(Step(status=401, body={"error": {"message": "bad key sk-invented-0123456789"}}), repeat=True)
    with hand(server.url) as scoped:
        scoped.add(put("a", "the pump leaks"))
        assert "[redacted]" in scoped.embedded.why
        found = scoped.search(Query(text="pump"))
        assert found.hits[0].dense_rank is None
        assert "401" in found.explain["embedding"]["why"]
        with pytest.raises(Failure) as failure:
            scoped.embed()
    assert failure.value.code == "unauthorised"


def test_another_model_makes_them_anew_and_merging_keeps_one(hand, fake):
    server = fake(Step(), repeat=True)
    with hand(server.url) as scoped:
        scoped.add(put("a", "one\ntwo"))
        scoped.merge(1, put("a", "one\ntwo\nthree"))
        assert scoped.stats()["missing"] == 0
    with hand(server.url, "p/other") as scoped:
        assert scoped.stats()["missing"] == 1
        assert scoped.embed().documents == 1
        assert scoped.embed().documents == 0


def test_a_vector_of_another_length_is_told_and_by_hand_made_anew(hand, fake):
    server = fake(Step(), repeat=True)
    with hand(server.url) as scoped:
        scoped.collection.write([Put(id="w", text="wrong", vector=b"\0\0\x80?" * 3, embedder="p/small")])
        told = scoped.search(Query(text="wrong")).explain["embedding"]
        assert told["why"] == "the model's vectors have 8 dimensions, the documents' have 3"
        scoped.add(put("a", "the pump leaks"))
        scoped.add(put("b", "bread is baked"))
        assert scoped.stats()["missing"] == 1, "nobody asks the model again and again by itself"
        assert scoped.embed().documents == 1
        assert scoped.stats()["missing"] == 0


def test_there_may_be_no_model(tmp_path):
    with opened(Settings(state=str(tmp_path)), "global", use="create") as scoped:
        scoped.add(put("a", "text"))
        assert scoped.embedded is None
        with pytest.raises(UsageError, match="no embedding model"):
            scoped.embed()


def test_a_full_disk_does_not_lose_the_vectors(hand, fake, monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "spend", full)
    with hand(fake(Step(), repeat=True).url) as scoped:
        scoped.add(put("a", "the pump leaks"))
        assert scoped.stats()["missing"] == 0
    assert "No space left" in caplog.text
