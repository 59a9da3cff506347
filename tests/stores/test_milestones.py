"""Milestones as rows, from the events that planned and marked them."""

from clew.core.events import EffectFinished, Noted
from clew.testing.clock import START_MS

T = START_MS


def did(n, name, output, **fields):
    kind = fields.pop("kind", "tool")
    fact = EffectFinished(
        key=f"0/n#1/t{n}", kind=kind, name=name, digest="", task="0", node="n", agent="planner", **fields
    )
    return fact, {"output": output}


def planned(n, *items, goal="g"):
    return did(n, "plan_milestones", {"goal": goal, "milestones": list(items)})


def mark(n, name, state, note=""):
    return did(n, "mark_milestone", {"id": name, "state": state, "note": note})


A = {"id": "a", "title": "first", "done_when": "seen", "due_in_ms": 1000}
B = {"id": "b", "title": "second", "done_when": "", "due_in_ms": None}


async def rows(journal, story, *facts, run="r1"):
    await journal.append(story.start(run))
    await journal.append(story.facts(1, *facts, run=run))
    return await journal.rows("milestones", {"run": run})


async def test_planned_and_marked(journal, story):
    a, b = await rows(journal, story, planned(1, A, B), mark(2, "a", "started"), mark(3, "b", "dropped", "void"))
    at = T + 1
    assert (a["seq"], a["goal"], a["title"], a["done_when"], a["node"], a["agent"]) == (
        2,
        "g",
        "first",
        "seen",
        "n",
        "planner",
    )
    assert (a["planned"], a["due"], a["state"], a["started"], a["ended"], a["alerted"]) == (
        at, at + 1000, "started", at, None, None,
    )  # fmt: skip
    assert (b["due"], b["state"], b["started"], b["ended"], b["note"]) == (None, "dropped", None, at, "void")


async def test_the_first_plan_of_an_id_stays(journal, story):
    """Two plans of one turn may both have been taken."""
    found = await rows(journal, story, planned(1, A), planned(2, {**A, "title": "again"}, B), mark(3, "zz", "done"))
    assert [(row["id"], row["title"]) for row in found] == [("a", "first"), ("b", "second")]


async def test_what_is_done_stays_done(journal, story):
    """Calls of one turn are recorded in any order."""
    marks = (mark(2, "a", "done", "seen"), mark(3, "a", "started"), mark(4, "a", "dropped"))
    (a,) = await rows(journal, story, planned(1, A), *marks)
    assert (a["state"], a["note"], a["started"]) == ("done", "seen", None)


async def test_an_alert_that_was_given(journal, story):
    noted = (Noted(name="milestone_late"), {"id": "a", "due": 5})
    others = ((Noted(name="milestone_late"), None), (Noted(name="else"), {"id": "b"}))
    a, b = await rows(journal, story, planned(1, A, B), noted, *others)
    assert (a["alerted"], b["alerted"]) == (T + 1, None)


async def test_what_plans_nothing(journal, story):
    wrong = did(1, "plan_milestones", {"goal": 1})
    failed = did(2, "plan_milestones", {"goal": "g", "milestones": [A]}, status="error")
    other = did(3, "read_file", {"goal": "g", "milestones": [A]})
    model = did(4, "plan_milestones", {"goal": "g", "milestones": [A]}, kind="model")
    assert await rows(journal, story, wrong, failed, other, model) == []


async def test_erasure_takes_it(journal, story):
    assert len(await rows(journal, story, planned(1, A))) == 1
    await journal.append(story.finish(2))
    await journal.erase("r1")
    assert await journal.rows("milestones") == []


async def test_what_a_fork_planned_anew_replaces_what_it_copied(journal, story):
    """It is recorded under the same key."""
    found = await rows(journal, story, planned(1, A, B), mark(2, "a", "done"), planned(1, {**A, "title": "anew"}))
    assert [(row["id"], row["title"], row["state"]) for row in found] == [("a", "anew", "planned")]
