"""``search_context``: a model's question to memory, its answer within bounds, and what it may not ask."""

from pathlib import Path

import pytest

from clew.core.errors import Failure
from clew.gate.ports.tool import ToolContext
from clew.gate.schema import Validator
from clew.tools.builtin import builtin

HERE = Path("/nowhere")


def hit(text="The pump leaks.", **fields):
    return {
        "doc_id": "a",
        "scope": "project",
        "text": text,
        "metadata": {"n": 1},
        "fused_score": 0.5,
        "dense_rank": 1,
        **fields,
    }


class Memory:
    def __init__(self, *hits):
        self.asked, self._hits = [], list(hits)

    async def search(self, request):
        self.asked.append(request)
        return {"hits": self._hits, "explain": {}}


async def call(args, memory):
    tool = builtin("search_context")
    Validator(tool.spec.inputs).check(args, what="arguments")
    output = await tool.call(args, ToolContext(project_dir=HERE, root=HERE, search=memory and memory.search))
    Validator(tool.spec.outputs).check(output, what="output")
    return output


async def test_what_is_asked_and_answered():
    memory = Memory(hit())
    assert await call({"query": "pump"}, memory) == {
        "documents": [{"id": "a", "scope": "project", "text": "The pump leaks.", "metadata": {"n": 1}, "score": 0.5}]
    }
    filter_ = {"term": {"n": 1}}
    await call({"query": "x", "scopes": ["task", "global"], "k": 50, "filter": filter_}, memory)
    assert memory.asked == [
        {"scopes": ["project"], "text": "pump", "config": {"k": 5}},
        {"scopes": ["task", "global"], "text": "x", "config": {"k": 50}, "filter": filter_},
    ]


async def test_a_long_text_is_cut_and_says_so():
    (document,) = (await call({"query": "x"}, Memory(hit("word " * 1000))))["documents"]
    assert document["text"].endswith("\n[cut: 4,000 of 5,000 characters]")


async def test_nothing_is_an_answer():
    assert await call({"query": "x"}, Memory()) == {"documents": []}


@pytest.mark.parametrize(
    "args",
    [
        {}, {"query": ""}, {"query": "x" * 2001}, {"query": 1}, {"query": "x", "k": 0}, {"query": "x", "k": 51},
        {"query": "x", "k": "5"},
        {"query": "x", "scopes": []}, {"query": "x", "scopes": ["project:other"]}, {"query": "x", "scopes": ["task", "task"]},
        {"query": "x", "tenant": "other"}, {"query": "x", "filter": []},
    ],
)  # fmt: skip
async def test_what_may_not_be_asked(args):
    with pytest.raises(Failure) as caught:
        await call(args, Memory())
    assert caught.value.code == "invalid_arguments"


async def test_where_there_is_no_memory_it_says_so():
    with pytest.raises(Failure) as caught:
        await call({"query": "x"}, None)
    assert caught.value.code == "no_memory"


async def test_it_needs_nothing_but_memory():
    spec = builtin("search_context").spec
    assert (spec.risk, spec.repeat_safe, spec.mutates) == ("low", True, False)
    assert (spec.permissions.root, spec.permissions.network, spec.permissions.shell) == (None, False, False)
