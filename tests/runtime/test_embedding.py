import pytest

from clew.gate.effect import Effect, Outcome, denied
from clew.gate.ports.embedding import MOST_BYTES, MOST_QUERY
from clew.manifest.compiled import Plan, ToolPlan
from clew.runtime.embedding import Embedding, asked_before, embedding_of, handed


def plan(embedding, provider="openai", **tools):
    sections = {"memory": {"embedding": embedding}, "providers": [{"id": "p", "type": provider}]}
    kinds = {name: ToolPlan(type=kind) for name, kind in tools.items()}
    return Plan(workflow="w", graph=None, nodes={}, sections=sections, tools=kinds)


def before(request, kind="context", name="search", **tools):
    effect = Effect(key="t/n#1/3", kind=kind, name=name, request=request, task="t", node="n", run="r", agent="a")
    found = asked_before(plan({"model": "p/small", "dimensions": 8}, **tools), effect)
    return found and found[1]


def test_the_name_changes_with_what_makes_the_vectors():
    assert embedding_of(plan(None)) is None
    assert embedding_of(plan({"folder": "x"})) is None
    assert embedding_of(plan({"model": "p/small"})).name == "p/small"
    small = embedding_of(plan({"model": "p/small", "dimensions": 8, "batch": 2}))
    assert (small.name, small.batch, small.network) == ("p/small@8", 2, True)
    assert not embedding_of(plan({"model": "p/small"}, "offline")).network


def test_the_effect_before():
    effect = before({"text": "pump"})
    assert (effect.key, effect.kind, effect.name) == ("t/n#1/3/embedding", "embedding", "p/small")
    assert effect.request == {"model": "p/small", "texts": ("pump",), "dimensions": 8, "purpose": "query"}
    assert (effect.needs, effect.repeat_safe, effect.agent, effect.run) == (("network",), True, "a", "r")


@pytest.mark.parametrize(
    ("request_", "fields", "texts"),
    [
        ({"documents": [{"text": "a"}, {"text": " "}, {}, {"text": 5}, {"text": "b"}]}, {"name": "put"}, ("a", "b")),
        ({"documents": [{"text": ""}]}, {"name": "put"}, None),
        ({"query": "q" * 5000, "sources": [{}]}, {"name": "assemble"}, ("q" * MOST_QUERY,)),
        ({"query": "q", "sources": [{}], "policy": "recency"}, {"name": "assemble"}, None),
        ({"query": "q", "sources": []}, {"name": "assemble"}, None),
        ({"query": None, "sources": [{}]}, {"name": "assemble"}, None),
        ({"ids": ["a"]}, {"name": "remove"}, None),
        ({"text": " "}, {}, None),
        ({"query": "q"}, {"kind": "tool", "name": "search_context", "search_context": "builtin"}, ("q",)),
        ({}, {"kind": "tool", "name": "search_context", "search_context": "builtin"}, None),
        ("q", {"kind": "tool", "name": "search_context", "search_context": "builtin"}, None),
        ({"query": "q"}, {"kind": "tool", "name": "search_context", "search_context": "handler"}, None),
        ({"query": "q"}, {"kind": "tool", "name": "other", "other": "builtin"}, None),
        ({"text": "q"}, {"kind": "model"}, None),
    ],
)
def test_texts_that_are_embedded(request_, fields, texts):
    effect = before(request_, **fields)
    assert (effect.request["texts"] if effect else None) == texts


def test_a_long_text_is_embedded_by_its_beginning():
    (text,) = before({"documents": [{"text": "語" * MOST_BYTES}]}, name="put").request["texts"]
    assert len(text.encode()) <= MOST_BYTES


def test_what_the_effect_after_it_is_told():
    small = Embedding(model="p/small")
    vectors = {"vectors": ["AACAPw=="], "dims": 1}
    assert handed(small, Outcome(output=vectors)).vectors == (b"\0\0\x80?",)
    refused = handed(small, denied("denied", "no network"))
    assert (refused.vectors, refused.why, refused.code) == ((), "no network", "denied")
    for output in (None, {"vectors": ["[redacted]"], "dims": 1}):
        assert "cannot be read" in handed(small, Outcome(output=output)).why
