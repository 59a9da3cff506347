"""Facts as spans: ids, tree, times, names and attributes."""

from pathlib import Path
from typing import Any

import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as conventions
from opentelemetry.semconv.attributes import error_attributes

from clew.core import events as ev
from clew.core.events import Event
from clew.runtime.record import FORKED
from clew.stores.bundle_file import read_bundle
from clew.stores.memory.journal import MemoryJournal
from clew.telemetry.spans import COPIED, PROVIDERS, USAGE, RunSpans, Span, span_id, trace_id
from clew.telemetry.tracing import whole
from clew.testing import ManualClock

HISTORIES = Path(__file__).parents[1] / "histories"

START = 1_000_000


class Facts:
    """Feeds facts, one ms apart unless told; ``spans`` are what came out."""

    def __init__(self, providers: dict[str, str] | None = None, **origin: Any) -> None:
        fact = ev.RunStarted(**{"run": "r1", "workflow": "shop", "plan": "p", "start": "s", **origin})
        self.now = START
        self.fold = RunSpans(fact, START, providers or {})
        self.spans: list[Span] = []

    def __call__(self, fact: Any, payload: Any = None, at: int | None = None) -> list[Span]:
        self.now = self.now + 1 if at is None else at
        ended = self.fold.add(Event(fact, payload, self.now))
        self.spans += ended
        return ended

    def enter(self, node: str = "a", task: str = "0", attempt: int = 1, entry: int = 1) -> None:
        assert not self(ev.NodeStarted(task=task, node=node, attempt=attempt, entry=entry))

    def effect(
        self, key: str, kind: str = "tool", name: str = "t", payload: Any = None, at: int | None = None, **f: Any
    ) -> Span:
        task, rest = key.split("/")[0], key.split("/")[1]
        fact = ev.EffectFinished(key=key, kind=kind, name=name, digest="", task=task, node=rest.partition("#")[0], **f)
        (span,) = self(fact, payload, at)
        return span

    def leave(self, node: str = "a", task: str = "0", attempt: int = 1) -> list[Span]:
        return self(ev.NodeCompleted(task=task, node=node, attempt=attempt))

    def finish(self, state: Any = "completed", status: Any = "success", payload: Any = None) -> list[Span]:
        return self(ev.RunFinished(state=state, status=status), payload)

    def wait(self, key: str, kind: str = "human", name: str = "ask") -> None:
        task, rest = key.split("/")[0], key.split("/")[1]
        node = rest.partition("#")[0]
        assert not self(ev.EffectStarted(key=key, kind=kind, name=name, digest="", task=task, node=node, wait=True))


def test_ids_are_derived_and_apart():
    assert trace_id("r1") == trace_id("r1.abc") == trace_id("r1.abc.def") != trace_id("r2")
    assert 0 < trace_id("r1") < 2**128
    assert 0 < span_id("r1", "node", "0/a#1") < 2**64
    assert len({span_id("r1", kind, "k") for kind in ("run", "task", "node", "agent", "effect")}) == 5
    assert span_id("r1", "run") != span_id("r1.abc", "run")


def test_run_task_node_effect():
    facts = Facts()
    facts.enter()
    effect = facts.effect("0/a#1/1", ms=1)
    (node,) = facts.leave()
    task, run = facts.finish()
    assert [s.name for s in facts.spans] == ["execute_tool t", "node a", "task 0", "invoke_workflow shop"]
    assert [s.parent for s in facts.spans] == [node.id, task.id, run.id, 0]
    assert {s.trace for s in facts.spans} == {trace_id("r1")}
    assert (effect.start, effect.end) == (START + 1, START + 2)
    assert (node.start, node.end) == (task.start, task.end) == (START + 1, START + 3)
    assert (run.start, run.end) == (START, START + 4)
    assert run.attributes == {
        "clew.run": "r1", "gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "shop",
        "clew.mode": "implement", "clew.state": "completed", "clew.status": "success",
    }  # fmt: skip
    assert effect.attributes == {
        "clew.run": "r1", "clew.task": "0", "clew.node": "a", "clew.attempt": 1, "clew.effect": "0/a#1/1",
        "clew.tries": 1, "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "t",
    }  # fmt: skip


def test_a_model_effect_names_who_answered_and_what_it_took():
    facts = Facts({"eu": "azure"})
    facts.enter()
    usage = {"input_tokens": 9, "output_tokens": 2**70, "cache_read_tokens": 4, "cache_write_tokens": -1, "odd": 3}
    span = facts.effect("0/a#1/1", "model", "smart", by="eu/gpt/x", usage=usage, cost="0.002", tries=3, ms=1)
    assert (span.name, span.client) == ("chat smart", True)
    own = {k: v for k, v in span.attributes.items() if k.startswith("gen_ai.") or k in ("clew.cost", "clew.tries")}
    assert own == {
        "gen_ai.operation.name": "chat", "gen_ai.request.model": "smart", "gen_ai.provider.name": "azure.ai.openai",
        "gen_ai.response.model": "gpt/x", "gen_ai.usage.input_tokens": 9, "gen_ai.usage.output_tokens": 2**63 - 1,
        "gen_ai.usage.cache_read.input_tokens": 4, "gen_ai.usage.cache_creation.input_tokens": 0,
        "clew.cost": "0.002", "clew.tries": 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("providers", "by", "name"),
    [
        ({"main": "openai"}, "main/m", "openai"),
        ({"main": "gemini"}, "main/m", "gcp.gemini"),
        ({"local": "openai_compatible"}, "local/m", "local"),
        ({}, "unknown/m", "unknown"),
        ({}, "", None),
    ],
)
def test_a_provider_goes_by_its_kind(providers: dict[str, str], by: str, name: str | None):
    facts = Facts(providers)
    facts.enter()
    assert facts.effect("0/a#1/1", "model", by=by).attributes.get("gen_ai.provider.name") == name


def test_names_are_those_of_the_conventions():
    known = {v for k, v in vars(conventions).items() if k.startswith("GEN_AI_")} | {error_attributes.ERROR_TYPE}
    facts = Facts({"o": "openai"})
    facts.enter()
    facts.effect("0/a#1/t1", "model", by="o/m", usage=dict.fromkeys(USAGE, 1), agent="ada", status="error")
    facts.effect("0/a#1/t1.c0")
    facts.leave()
    facts.finish()
    used = {a for s in facts.spans for a in s.attributes if not a.startswith("clew.")}
    assert used <= known
    assert len(used) == 13
    operations = {v.value for v in conventions.GenAiOperationNameValues}
    assert {s.attributes.get("gen_ai.operation.name", "chat") for s in facts.spans} <= operations
    assert set(PROVIDERS.values()) <= {v.value for v in conventions.GenAiProviderNameValues}


def test_a_node_that_an_agent_works_at_is_its_invocation():
    facts = Facts()
    facts.enter()
    pool = facts.effect("0/a#1/select", "selection", "team", agent="team")
    turn = facts.effect("0/a#1/t1", "model", "m", agent="ada")
    tool = facts.effect("0/a#1/t1.c0", agent="ada")
    (node,) = facts.leave()
    assert {pool.parent, turn.parent, tool.parent} == {node.id}
    assert (pool.name, node.name) == ("selection team", "invoke_agent ada")
    assert node.attributes["gen_ai.agent.name"] == tool.attributes["gen_ai.agent.name"] == "ada"


def test_agents_that_a_handler_calls_have_spans_of_their_own():
    facts = Facts()
    facts.enter()
    facts.effect("0/a#1/1", "effect", "own")
    turn = facts.effect("0/a#1/2.t1", "model", "m", agent="ada", ms=1)
    tool = facts.effect("0/a#1/2.t1.c0", agent="ada")
    other = facts.effect("0/a#1/part/1.t1", "model", "m", agent="bob")
    ada, bob, node = facts.leave()
    assert [s.name for s in (ada, bob, node)] == ["invoke_agent ada", "invoke_agent bob", "node a"]
    assert turn.parent == tool.parent == ada.id != bob.id == other.parent
    assert ada.parent == bob.parent == node.id
    assert (ada.start, ada.end) == (turn.start, tool.end)
    assert "gen_ai.agent.name" not in node.attributes


def test_attempts_and_entries():
    facts = Facts()
    facts.enter()
    facts(ev.NodeSuspended(task="0", node="a", attempt=1))
    facts.enter(entry=2)
    (first,) = facts(ev.NodeFailed(task="0", node="a", attempt=1, code="timeout"))
    facts.enter(attempt=2)
    once = facts.effect("0/a#once/pay", "effect", "pay")
    (second,) = facts.leave(attempt=2)
    assert (first.start, first.attributes["error.type"], first.attributes["clew.attempt"]) == (START + 1, "timeout", 1)
    assert (once.parent, once.attributes["clew.attempt"]) == (second.id, 2)
    assert "error.type" not in second.attributes


def test_waits_last_from_their_opening_and_end_with_the_body_at_the_latest():
    facts = Facts()
    facts.enter()
    facts.wait("0/a#1/1")
    facts.wait("0/a#1/2", "timer", "")
    answered = facts.effect("0/a#1/1", "human", "ask")
    assert (answered.name, answered.start, answered.end) == ("human ask", START + 2, START + 4)
    left, node = facts(ev.NodeStopped(task="0", node="a", attempt=1))
    assert (left.name, left.parent, left.start, left.end) == ("timer", node.id, START + 3, node.end)
    assert left.attributes["clew.state"] == node.attributes["clew.state"] == "cancelled"
    assert "error.type" not in left.attributes | node.attributes


def test_waits_that_are_open_when_the_run_ends():
    facts = Facts()
    facts.enter()
    facts.wait("0/a#1/1")
    wait, node, task, run = facts.finish("cancelled", None)
    assert (wait.name, wait.parent, node.parent) == ("human ask", node.id, task.id)
    assert {s.end for s in (wait, node, task)} == {run.end}
    assert {s.attributes["clew.state"] for s in (wait, node, run)} == {"cancelled"}
    assert "clew.status" not in run.attributes


def test_the_pause_between_attempts_and_a_time_that_was_read():
    facts = Facts()
    facts.enter()
    time = ev.EffectFinished(key="0/a#1/1", kind="clock", name="now", digest="", task="0", node="a")
    assert not facts(time)
    (node,) = facts(ev.NodeFailed(task="0", node="a", attempt=1, code="x"))
    pause = facts.effect("0/a#1/backoff", "timer", "backoff", at=START + 500)
    assert (pause.start, pause.end, pause.parent) == (node.end, START + 500, node.parent)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"error": {"code": "rate_limited", "message": "secret"}}, "rate_limited"),
        ({"error": {"code": "it was hunter2!"}}, "denied"),
        ({"error": {"code": 7}}, "denied"),
        ({"error": "text"}, "denied"),
        (["odd"], "denied"),
        (None, "denied"),
    ],
)
def test_an_error_is_its_code_and_nothing_else_of_a_payload(payload: Any, code: str):
    facts = Facts()
    facts.enter()
    span = facts.effect("0/a#1/1", payload=payload, status="denied")
    assert span.attributes["error.type"] == code
    assert "secret" not in repr(span)


def test_a_failed_run():
    facts = Facts()
    *_, run = facts.finish("failed", "failure", {"error": {"code": "budget_exhausted"}})
    assert run.attributes["error.type"] == "budget_exhausted"


def test_tasks_side_by_side():
    facts = Facts()
    for task in ("0.0", "0.1"):
        facts.enter("w", task)
    for task in ("0.1", "0.0"):
        facts.leave("w", task)
    zero, one, run = facts.finish()
    assert [(s.name, s.start - START, s.end - START, s.parent) for s in (zero, one)] == [
        ("task 0.0", 1, 4, run.id), ("task 0.1", 2, 3, run.id),
    ]  # fmt: skip


def test_a_child_hangs_on_the_wait_of_its_parent():
    parent, child = Facts(), Facts(run="r1.0badcafe", parent="r1:0/a#1/1")
    parent.enter()
    parent.wait("0/a#1/1", "child", "../child")
    *_, run = child.finish()
    wait = parent.effect("0/a#1/1", "child", "../child")
    assert (run.trace, run.parent) == (wait.trace, wait.id)


def test_a_fork_sends_what_it_did_itself_and_links_to_its_parent():
    assert COPIED == FORKED
    facts = Facts(run="r2", fork_of=ev.ForkOf("r1", 5, "h"))
    old = START - 50
    facts(ev.NodeStarted(task="0", node="a", attempt=1), at=old)
    assert not facts(ev.NodeCompleted(task="0", node="a", attempt=1), at=old + 1)
    facts(ev.NodeStarted(task="0", node="b", attempt=1), at=old + 2)
    facts(ev.Noted(name=COPIED), at=old + 2)
    facts.now = START
    facts.enter("b", entry=2)
    (node,) = facts.leave("b")
    task, run = facts.finish()
    assert (node.start, node.end, task.start) == (START, START + 2, START + 1)
    assert run.link == (trace_id("r1"), span_id("r1", "run"))


def test_a_clock_that_was_set_back_and_facts_out_of_the_ordinary():
    facts = Facts()
    facts.enter()
    (node,) = facts(ev.NodeCompleted(task="0", node="a", attempt=1), at=START - 5)
    assert node.start == node.end == START + 1
    late = facts.effect("0/a#1/1", at=START + 9, ms=10**12, agent="ada")
    assert (late.start, late.parent) == (START, node.id)
    unknown = facts.effect("7/z#once/1")
    assert unknown.parent == span_id("r1", "task", "7")
    assert "clew.attempt" not in unknown.attributes
    assert not facts(ev.PayloadsErased(seqs=(1,)))


@pytest.mark.parametrize("name", ["v1", "v1-fork"])
async def test_recorded_histories_are_trees(name: str):
    journal, bundle = MemoryJournal(projections=(), clock=ManualClock()), read_bundle(HISTORIES / f"{name}.clew.gz")
    await journal.load(bundle)
    events = [record.event for record in await journal.read(bundle.run)]
    if not isinstance(events[-1].fact, ev.RunFinished):
        events.append(Event(ev.RunFinished(state="cancelled"), None, events[-1].at))
    spans = whole(events, {})
    known = {s.id: s for s in spans}
    assert len(known) == len(spans) > 5
    assert [s.name.partition(" ")[0] for s in spans if s.parent not in known] == ["invoke_workflow"]
    for span in spans:
        around = known.get(span.parent, span)
        assert around.start <= span.start <= span.end <= around.end
