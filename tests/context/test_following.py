"""What is derived follows its log: step by step, from the beginning, and not over a gap."""

from contextlib import closing

import numpy as np
import pytest

from clew.context import following
from clew.context.derived import Derived
from clew.context.following import built, follow
from clew.context.log.jsonl import JsonlLog
from clew.context.log.port import Bounds
from clew.context.log.sqlite import SqliteLog
from clew.gate.ports.context import Put, Relation, Remove


@pytest.fixture
def log(tmp_path):
    with closing(SqliteLog.open(tmp_path / "truth.db", Bounds(max_items=1000))) as made:
        yield made


def vector(*numbers):
    return np.array(numbers, dtype="<f4").tobytes()


def test_what_was_written_since_is_taken_in(log, monkeypatch):
    monkeypatch.setattr(following, "_PAGE", 100)
    derived = Derived()
    log.write([Put(id=f"d{i}", text=f"words {i}") for i in range(250)], 1)
    assert follow(derived, log, log.heads())
    log.write([Put(id="d1", text="other"), Remove(id="d2")], 2)
    assert follow(derived, log, log.heads())
    assert (derived.seen, len(derived.rows.by_id)) == (log.head(), 249)
    rows, _ = derived.sparse("other", 5, None)
    assert derived.named(rows.tolist()) == ["d1"]


def test_made_anew_only_what_is_live_has_a_row(log):
    for turn in range(3):
        log.write([Put(id=f"d{i}", text=f"words {i} {turn}") for i in range(60)], turn)
    log.write([Remove(id="d7")], 9)
    derived = built(log, "")
    assert (len(derived.rows), len(derived.rows.by_id), derived.seen) == (59, 59, log.head())


def test_vectors_that_were_attached_are_found_and_those_of_others_passed_over(log):
    (version,) = log.write([Put(id="a", text="apple")], 1)
    derived = built(log, "m")
    assert derived.missing() == ["a"]
    log.attach([(version.n, "other", vector(1, 0, 0))])
    assert follow(derived, log, log.heads())
    assert derived.missing() == ["a"]
    log.attach([(version.n, "m", vector(1, 0))])
    assert follow(derived, log, log.heads())
    assert (derived.missing(), derived.dims) == ([], 2)
    assert derived.attached == log.heads().m


def test_what_the_log_forgot_cannot_be_followed(log):
    derived = Derived()
    log.write([Put(id="a", text="one")], 1)
    assert follow(derived, log, log.heads())
    for turn in range(5):
        log.write([Put(id="a", text=f"two {turn}")], 2)
    current = built(log, "")
    log.compact(log.head(), removals=True)
    assert not follow(derived, log, log.heads())
    assert follow(current, log, log.heads()), "it knows all that was forgotten"
    assert current.floor == log.heads().floor
    assert built(log, "").named([0]) == ["a"]


@pytest.mark.parametrize("backend", [SqliteLog, JsonlLog])
def test_what_the_log_forgets_while_it_is_followed_is_noticed(tmp_path, backend):
    with closing(backend.open(tmp_path / "truth")) as log:
        log.write([Put(id="x", text="pump"), Put(id="y", text="oven")], 1)
        derived = built(log, "")
        log.write([Remove(id="x")], 2)
        log.write([Put(id="y", text="ovens")], 3)
        heads = log.heads()
        log.compact(log.head(), removals=True)
        assert not follow(derived, log, heads)
        assert [*built(log, "").rows.by_id] == ["y"]


def test_what_the_log_forgets_while_it_is_read_is_read_again(log, monkeypatch):
    monkeypatch.setattr(following, "_SMALL", 2)
    knows = (Relation(subject="Ann", relation="knows", object="Bob"),)
    log.write([Put(id=name, text=name, relations=knows) for name in "xyz"], 1)
    since = log.since

    def forgetting(n, *rest):
        if n == 2 and not log.floor():
            log.write([Remove(id="x")], 2)
            log.write([Put(id="last", text="last")], 3)
            log.compact(log.head(), removals=True)
        return since(n, *rest)

    monkeypatch.setattr(log, "since", forgetting)
    derived = built(log, "")
    assert sorted(derived.rows.by_id) == ["last", "y", "z"]
    assert derived.facts.stats()["facts"] == 2
