"""The journal's contract, for every driver."""

import asyncio

import msgspec
import pytest

from clew.core.errors import Conflict, NotFound, Tampered, UsageError
from clew.core.events import Event, ForkOf, NodeStarted, NodeStopped, Noted, PayloadsErased, RunFinished
from clew.core.identity import chain, payload_digest
from clew.gate.ports.journal import Append, Bundle, Head, RunFilter


class TestAppend:
    async def test_what_was_appended_is_read_back(self, journal, story):
        start, node = story.start(), story.node(1)
        assert (await journal.append(start)).seq == 1
        assert (await journal.append(node)).seq == 3
        records = await journal.read("r1")
        assert [record.event for record in records] == [*start.events, *node.events]
        assert [record.seq for record in records] == [1, 2, 3]
        assert not any(record.erased for record in records)

    async def test_reading_a_part(self, journal, story):
        await story.whole(journal)
        assert [record.seq for record in await journal.read("r1", 3)] == [4, 5, 6, 7, 8]
        assert [record.seq for record in await journal.read("r1", 3, 5)] == [4, 5]
        assert await journal.read("r1", 8) == []
        assert await journal.read("r1", 5, 2) == []

    async def test_the_chain_is_that_of_the_core(self, journal, story):
        await story.whole(journal)
        bundle = await journal.dump("r1")
        link = ""
        for event, record in zip(bundle.events, await journal.read("r1"), strict=True):
            expected = "" if event.payload is None else payload_digest(event.salt, event.payload)
            link = chain(link, event.envelope, event.digest)
            assert (event.digest, event.hash, record.hash) == (expected, link, link)
        assert (await journal.row("r1")).head == Head(8, link)

    async def test_salts_differ(self, journal, story):
        await story.whole(journal)
        salts = [event.salt for event in (await journal.dump("r1")).events if event.salt]
        assert len(set(salts)) == len(salts)
        assert {len(salt) for salt in salts} == {16}

    @pytest.mark.parametrize("expected", [0, 2, 7])
    async def test_a_wrong_expected_changes_nothing(self, journal, story, expected):
        await journal.append(story.start())
        with pytest.raises(Conflict):
            await journal.append(story.node(expected))
        assert (await journal.row("r1")).head.seq == 1
        assert (await journal.append(story.node(1))).seq == 3

    async def test_a_stale_epoch_is_refused(self, journal, story):
        await journal.append(story.start())
        await journal.release("r1")
        assert await journal.claim("r1") == 2
        with pytest.raises(Conflict, match="epoch"):
            await journal.append(story.node(1, epoch=1))
        assert (await journal.append(story.node(1, epoch=2))).seq == 3

    async def test_an_unclaimed_run_takes_nothing(self, journal, story):
        await journal.append(story.start())
        await journal.release("r1")
        with pytest.raises(Conflict, match="claim"):
            await journal.append(story.node(1))

    async def test_a_run_begins_with_its_start(self, journal, story):
        with pytest.raises(UsageError, match="RunStarted"):
            await journal.append(story.facts(0, NodeStarted(task="0", node="a", attempt=1)))
        with pytest.raises(UsageError, match="r2"):
            await journal.append(msgspec.structs.replace(story.start("r2"), run="r1"))
        with pytest.raises(NotFound):
            await journal.row("r1")

    async def test_an_append_has_events(self, journal, story):
        await journal.append(story.start())
        for run in ("r1", "r2"):
            with pytest.raises(UsageError):
                await journal.append(
                    Append(run=run, expected=0 if run == "r2" else 1, events=[], epoch=1, state="running")
                )

    async def test_an_ended_state_follows_from_the_events(self, journal, story):
        await journal.append(story.start())
        with pytest.raises(UsageError, match="state"):
            await journal.append(story.node(1, state="completed"))
        with pytest.raises(UsageError, match="state"):
            await journal.append(story.facts(1, RunFinished(state="failed", status="failure"), state="running"))
        await journal.append(story.finish(1))
        epoch = await journal.claim("r1")
        assert (await journal.append(story.facts(2, Noted(name="x"), state="completed", epoch=epoch))).seq == 3

    async def test_the_end_lets_go(self, journal, story):
        await story.whole(journal, released=False)
        assert (await journal.row("r1")).owner == ""
        with pytest.raises(Conflict, match="claim"):
            await journal.append(story.facts(8, Noted(name="x"), state="completed"))
        await journal.release("r1")
        assert await journal.claim("r1") == 2

    async def test_many_runs_at_once(self, journal, story):
        async def drive(run: str) -> int:
            return await story.whole(journal, run, 5)

        assert await asyncio.gather(*(drive(f"r{number}") for number in range(30))) == [12] * 30
        assert await journal.verify() == []

    async def test_one_conflict_among_many_fails_alone(self, journal, story):
        for number in range(5):
            await journal.append(story.start(f"r{number}"))
        answers = await asyncio.gather(
            *(journal.append(story.node(1 if number != 2 else 9, f"r{number}")) for number in range(5)),
            return_exceptions=True,
        )
        assert [isinstance(answer, Conflict) for answer in answers] == [False, False, True, False, False]
        assert [(await journal.row(f"r{number}")).head.seq for number in range(5)] == [3, 3, 1, 3, 3]
        assert await journal.verify() == []

    async def test_several_appends_of_one_run_at_once(self, journal, story):
        await journal.append(story.start())
        heads = await asyncio.gather(*(journal.append(story.node(1 + 2 * number)) for number in range(10)))
        assert [head.seq for head in heads] == list(range(3, 23, 2))
        assert await journal.verify() == []


class TestRunList:
    async def test_a_row(self, journal, story):
        await journal.append(story.start(parent="r0:0/a#1/0", fork_of=ForkOf("r0", 3, "h"), tenant="acme"))
        await journal.append(story.facts(1, story.done("0/a#1/0", {"output": 1}, kind="model", cost="0.0025")))
        await journal.append(story.facts(2, story.done("0/a#1/1", {"output": 1}, kind="model", cost="0.0000001")))
        row = await journal.row("r1")
        assert (row.workflow, row.plan, row.state, row.status, row.tenant, row.user) == (
            "w",
            "p",
            "running",
            None,
            "acme",
            "local",
        )
        assert (row.parent, row.fork_of, row.cost, row.epoch) == ("r0:0/a#1/0", "r0", "0.0025001", 1)
        assert row.updated - row.created == 2
        assert row.owner

    async def test_the_end_shows(self, journal, story):
        await story.whole(journal)
        row = await journal.row("r1")
        assert (row.state, row.status, row.owner, row.cost) == ("completed", "success", "", "0")

    async def test_filters_newest_first(self, journal, story):
        for run in ("a1", "a2", "b1"):
            await journal.append(
                story.start(run, tenant="t" if run == "a2" else "local", parent="p" if run == "b1" else "")
            )
        await journal.append(story.finish(1, "a1"))

        async def ids(**given):
            return [row.run for row in await journal.runs(RunFilter(**given))]

        assert await ids() == ["b1", "a2", "a1"]
        assert await ids(limit=2) == ["b1", "a2"]
        assert await ids(before="a2") == ["a1"]
        assert await ids(prefix="a") == ["a2", "a1"]
        assert await ids(prefix="%") == []
        assert await ids(states=("running", "waiting")) == ["b1", "a2"]
        assert await ids(states=("completed",)) == ["a1"]
        assert await ids(states=("completed", "running")) == ["b1", "a2", "a1"]
        assert await ids(tenant="t") == ["a2"]
        assert await ids(parent="p") == ["b1"]
        assert await ids(parent="") == ["a2", "a1"]
        assert await ids(workflow="other") == []
        row = await journal.row("a1")
        assert await ids(updated_before=row.updated) == ["b1", "a2"]

    async def test_unknown_runs(self, journal):
        for call in (
            journal.row("no"),
            journal.read("no"),
            journal.claim("no"),
            journal.dump("no"),
            journal.erase("no"),
        ):
            with pytest.raises(NotFound):
                await call
        with pytest.raises(NotFound):
            await journal.verify("no")
        with pytest.raises(NotFound):
            await anext(journal.follow("no"))

    async def test_an_idempotency_key_is_given_once_per_tenant(self, journal, story):
        await journal.append(story.start("a", idempotency="k"))
        with pytest.raises(Conflict) as caught:
            await journal.append(story.start("b", idempotency="k"))
        assert caught.value.code == "idempotency"
        await journal.append(story.start("c", idempotency="k", tenant="other"))
        await journal.append(story.start("d", idempotency="k", fork_of=ForkOf("a", 1, "h")))
        found = await journal.runs(RunFilter(idempotency="k", tenant="local"))
        assert [row.run for row in found] == ["a"]

    async def test_a_run_is_made_once(self, journal, story):
        await journal.append(story.start())
        with pytest.raises(Conflict):
            await journal.append(story.start())
        await journal.release("r1")
        with pytest.raises(Conflict):
            await journal.append(story.start())
        assert (await journal.row("r1")).head.seq == 1


class TestClaims:
    async def test_a_queued_run_is_nobodys(self, journal, story):
        await journal.append(story.start(state="queued"))
        row = await journal.row("r1")
        assert (row.owner, row.epoch, row.state) == ("", 0, "queued")
        assert await journal.claim("r1") == 1
        await journal.append(story.node(1))
        assert (await journal.row("r1")).state == "running"

    async def test_a_run_is_claimed_once(self, journal, story):
        await journal.append(story.start())
        with pytest.raises(Conflict) as caught:
            await journal.claim("r1")
        assert caught.value.code == "driven"

    async def test_release_of_what_is_not_held(self, journal, story):
        await journal.release("unknown")
        await story.whole(journal)
        await journal.release("r1")


class TestInbox:
    async def test_messages_are_consumed_with_their_effect(self, journal, story, clock):
        await journal.append(story.start())
        first = await journal.put_message("r1", "answer", "0/a#1/0", {"decision": "approve"})
        second = await journal.put_message("r1", "cancel", "", None)
        messages = await journal.messages(["r1", "unknown"])
        assert [(message.id, message.kind, message.key, message.body) for message in messages] == [
            (first, "answer", "0/a#1/0", {"decision": "approve"}),
            (second, "cancel", "", None),
        ]
        assert messages[0].at == clock.now()
        await journal.append(story.node(1, consumed=(first,)))
        assert [message.id for message in await journal.messages(["r1"])] == [second]

    async def test_a_message_is_consumed_once(self, journal, story):
        await journal.append(story.start())
        message = await journal.put_message("r1", "pause", "", None)
        await journal.append(story.node(1, consumed=(message,)))
        with pytest.raises(Conflict, match="consumed"):
            await journal.append(story.node(3, consumed=(message,)))
        assert (await journal.row("r1")).head.seq == 3
        assert (await journal.append(story.node(3))).seq == 5

    async def test_another_runs_message_cannot_be_consumed(self, journal, story):
        await journal.append(story.start("r1"))
        await journal.append(story.start("r2"))
        message = await journal.put_message("r2", "cancel", "", None)
        with pytest.raises(Conflict):
            await journal.append(story.node(1, consumed=(message,)))
        assert len(await journal.messages(["r2"])) == 1

    async def test_an_ended_run_takes_none(self, journal, story):
        await journal.append(story.start())
        await journal.put_message("r1", "cancel", "", None)
        await journal.append(story.finish(1))
        assert await journal.messages(["r1"]) == []
        with pytest.raises(Conflict, match="ended"):
            await journal.put_message("r1", "cancel", "", None)

    async def test_bad_messages(self, journal, story):
        await journal.append(story.start())
        with pytest.raises(NotFound):
            await journal.put_message("no", "cancel", "", None)
        with pytest.raises(UsageError, match="JSON"):
            await journal.put_message("r1", "answer", "k", object())


class TestFollow:
    async def test_it_wakes_on_appends_and_ends_with_the_run(self, journal, story, settle, collect):
        await journal.append(story.start())
        seen: list[int] = []
        task = asyncio.create_task(collect(journal.follow("r1"), seen))
        await settle()
        assert seen == [1]
        await journal.append(story.node(1))
        await settle()
        assert seen == [1, 2, 3]
        await journal.append(story.finish(3))
        assert await task == [1, 2, 3, 4]

    async def test_of_an_ended_run(self, journal, story, collect):
        await story.whole(journal)
        assert await collect(journal.follow("r1", 6), []) == [7, 8]
        assert await collect(journal.follow("r1", 8), []) == []

    async def test_it_can_be_left(self, journal, story, settle, collect, clock):
        await journal.append(story.start())
        task = asyncio.create_task(collect(journal.follow("r1"), []))
        await settle()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert clock.pending == []


class TestErasure:
    async def test_payloads_go_and_the_chain_stays(self, journal, story):
        await story.whole(journal)
        head = (await journal.row("r1")).head
        assert await journal.erase("r1", [3, 5, 5, 99, 2]) == 2
        records = await journal.read("r1")
        assert [record.seq for record in records if record.erased] == [3, 5]
        assert [record.event.payload for record in records if record.erased] == [None, None]
        assert (await journal.row("r1")).head == head
        assert await journal.verify() == []
        assert await journal.verify("r1") == []
        assert await journal.erase("r1", [3]) == 0

    async def test_all_of_a_run(self, journal, story):
        await story.whole(journal, "r1")
        await story.whole(journal, "r2")
        assert await journal.erase("r1") == 5
        assert all(record.event.payload is None for record in await journal.read("r1"))
        assert not any(record.erased for record in await journal.read("r2"))
        assert await journal.verify() == []

    async def test_not_while_it_is_driven(self, journal, story):
        await journal.append(story.start())
        with pytest.raises(Conflict, match="driven"):
            await journal.erase("r1")

    async def test_the_service_can_note_it(self, journal, story):
        await story.whole(journal)
        await journal.erase("r1", [3])
        epoch = await journal.claim("r1")
        fact = PayloadsErased(seqs=(3,), by="ada")
        await journal.append(story.facts(8, (fact, {"reason": "asked"}), epoch=epoch, state="completed"))
        assert await journal.verify() == []


class TestVerify:
    async def test_kept_heads(self, journal, story):
        await story.whole(journal)
        head, ledger = (await journal.row("r1")).head, await journal.ledger()
        assert await journal.verify("r1", head) == []
        assert await journal.verify(None, ledger) == []
        assert [finding.what for finding in await journal.verify("r1", Head(head.seq + 1, head.hash))] == ["truncated"]
        assert [finding.what for finding in await journal.verify("r1", Head(head.seq, "0" * 64))] == ["rewritten"]
        assert [finding.what for finding in await journal.verify(None, Head(ledger.seq + 5, "0" * 64))] == ["truncated"]
        assert [finding.what for finding in await journal.verify(None, Head(1, "0" * 64))] == ["rewritten"]

    async def test_the_ledger_grows_with_every_append(self, journal, story):
        assert await journal.ledger() == Head(0, "")
        await journal.append(story.start("a"))
        one = await journal.ledger()
        await journal.append(story.start("b"))
        two = await journal.ledger()
        assert (one.seq, two.seq) == (1, 2)
        assert one.hash != two.hash


class TestBundles:
    async def test_a_run_moves(self, journal, story, opened):
        plan = await journal.blobs.put(b"the plan")
        start = story.start()
        fact = msgspec.structs.replace(start.events[0].fact, plan=plan)
        await journal.append(msgspec.structs.replace(start, events=[Event(fact, {"input": "x" * 50_000}, 5)]))
        await journal.append(story.finish(1))
        bundle = await journal.dump("r1")
        other = opened()
        await other.load(bundle)
        assert await other.dump("r1") == bundle
        assert await other.blobs.get(plan) == b"the plan"
        assert await other.verify() == []
        assert [record.event for record in await other.read("r1")] == [
            record.event for record in await journal.read("r1")
        ]
        row, was = await other.row("r1"), await journal.row("r1")
        assert (row.head, row.state, row.status, row.owner, row.epoch) == (was.head, "completed", "success", "", 0)
        with pytest.raises(Conflict):
            await other.load(bundle)

    async def test_redacted(self, journal, story, opened):
        await story.whole(journal)
        bundle = await journal.dump("r1", redacted=True)
        assert all(event.payload is None and event.salt is None for event in bundle.events)
        other = opened()
        await other.load(bundle)
        assert await other.verify() == []
        assert [record.erased for record in await other.read("r1")] == [bool(event.digest) for event in bundle.events]

    async def test_erased_payloads_stay_erased(self, journal, story, opened):
        await story.whole(journal)
        await journal.erase("r1", [3])
        other = opened()
        await other.load(await journal.dump("r1"))
        assert await other.verify() == []
        assert [record.seq for record in await other.read("r1") if record.erased] == [3]

    async def test_an_unfinished_run_waits(self, journal, story, opened):
        await journal.append(story.start(idempotency="k"))
        other = opened()
        await other.load(await journal.dump("r1"))
        row = await other.row("r1")
        assert (row.state, row.owner, row.idempotency) == ("waiting", "", "")

    @pytest.mark.parametrize("part", ["envelope", "digest", "hash", "salt", "payload"])
    async def test_one_changed_byte_is_refused(self, journal, story, opened, part):
        await story.whole(journal)
        bundle = await journal.dump("r1")
        event = bundle.events[2]
        was = getattr(event, part)
        now = was[:-1] + (bytes([was[-1] ^ 1]) if isinstance(was, bytes) else "0" if was[-1] != "0" else "1")
        events = (*bundle.events[:2], msgspec.structs.replace(event, **{part: now}), *bundle.events[3:])
        other = opened()
        with pytest.raises(Tampered):
            await other.load(msgspec.structs.replace(bundle, events=events))
        assert await other.runs(RunFilter()) == []
        assert await other.ledger() == Head(0, "")

    async def test_hostile_bundles(self, journal, story, opened):
        await story.whole(journal)
        bundle = await journal.dump("r1")
        bad = [
            msgspec.structs.replace(bundle, events=()),
            msgspec.structs.replace(bundle, run="other"),
            msgspec.structs.replace(bundle, events=bundle.events[1:]),
            msgspec.structs.replace(bundle, events=bundle.events[::-1]),
            msgspec.structs.replace(bundle, blobs={"../../etc/passwd": b"x"}),
            msgspec.structs.replace(bundle, blobs={"0" * 64: b"x"}),
            msgspec.structs.replace(bundle, redacted=True),
        ]
        other = opened()
        for one in bad:
            with pytest.raises(Tampered):
                await other.load(one)
        with pytest.raises(UsageError, match="format"):
            await other.load(Bundle(format=99, run="r1", redacted=False, events=bundle.events, blobs={}))


class TestBlobs:
    async def test_by_content(self, journal):
        address = await journal.blobs.put(b"data")
        assert await journal.blobs.put(b"data") == address
        assert await journal.blobs.get(address) == b"data"
        for unknown in ("0" * 64, "no address", ""):
            with pytest.raises(NotFound):
                await journal.blobs.get(unknown)


class TestProjections:
    async def test_approvals(self, journal, story):
        await journal.append(story.start())
        keys = [f"0/a#{number}/0" for number in range(1, 7)]
        await journal.append(story.facts(1, *(story.ask(key, due=7) for key in keys), state="waiting"))
        assert {row["state"] for row in await journal.rows("approvals")} == {"pending"}
        answers = [
            story.done(keys[0], {"output": {"decision": "approve", "by": "ada", "why": "fine"}}),
            story.done(keys[1], {"output": {"decision": "reject", "by": "bob"}}),
            story.done(keys[2], {"output": "blue"}),
            story.done(keys[3], {"error": {"code": "expired", "message": "too late"}}, status="error"),
            NodeStopped(task="0", node="a", attempt=5),
        ]
        await journal.append(story.facts(7, *answers))
        rows = await journal.rows("approvals", {"run": "r1"})
        assert [row["state"] for row in rows] == ["approved", "rejected", "answered", "expired", "cancelled", "pending"]
        assert (rows[0]["by"], rows[0]["why"], rows[0]["due"], rows[0]["digest"]) == ("ada", "fine", 7, "d")
        await journal.append(story.finish(12, state="cancelled"))
        assert [row["state"] for row in await journal.rows("approvals")][-1] == "cancelled"

    async def test_waits(self, journal, story):
        await journal.append(story.start())
        asks = [story.ask("0/a#1/0", "timer", due=5), story.ask("0/a#1/1", "child"), story.ask("0/b#1/0", "timer")]
        await journal.append(story.facts(1, *asks))
        await journal.append(story.facts(4, story.done("0/a#1/0", {"output": None}, kind="timer")))
        assert [row["state"] for row in await journal.rows("waits")] == ["done", "open", "open"]
        assert [row["key"] for row in await journal.rows("waits", {"state": "open", "kind": "child"})] == ["0/a#1/1"]
        await journal.append(story.finish(5, state="cancelled"))
        assert [row["state"] for row in await journal.rows("waits")] == ["done", "cancelled", "cancelled"]

    async def test_costs(self, journal, story):
        await journal.append(story.start())
        usage = {"input_tokens": 10, "output_tokens": 3}
        done = story.done("0/a#1/0", {"output": 1}, kind="model", name="fast", cost="0.000000018750", usage=usage)
        await journal.append(story.facts(1, done, story.done("0/a#1/1", {"output": 1}, kind="tool")))
        (row,) = await journal.rows("costs")
        found = (row["cost"], row["input_tokens"], row["output_tokens"], row["name"], row["calls"])
        assert found == (18_750, 10, 3, "fast", 1)

    async def test_the_newest_rows_in_their_order(self, journal, story):
        await journal.append(story.start())
        calls = [story.done(f"0/a#1/{i}", {"output": 1}, kind="model", name=f"m{i}", cost="1") for i in range(5)]
        await journal.append(story.facts(1, *calls))
        assert [row["name"] for row in await journal.rows("costs", limit=2)] == ["m0", "m1"]
        assert [row["name"] for row in await journal.rows("costs", limit=2, newest=True)] == ["m3", "m4"]

    async def test_artifacts_follow_and_forget(self, journal, story):
        await story.whole(journal)
        before = await journal.rows("artifacts")
        assert [(row["seq"], row["kind"], row["node"], row["size"]) for row in before] == [
            (3, "node_output", "n1", 7),
            (5, "node_output", "n3", 7),
            (7, "node_output", "n5", 7),
        ]
        await journal.erase("r1", [3])
        await story.whole(journal, "r2")
        after = await journal.rows("artifacts", {"run": "r1"})
        assert {row["seq"]: row["digest"] for row in after} == {
            3: "",
            5: before[1]["digest"],
            7: before[2]["digest"],
        }
        assert len(await journal.rows("artifacts")) == 6

    async def test_an_import_is_projected(self, journal, story, opened):
        await journal.append(story.start())
        await journal.append(story.facts(1, story.ask("0/a#1/0"), state="waiting"))
        other = opened()
        await other.load(await journal.dump("r1"))
        assert await other.rows("approvals") == await journal.rows("approvals")

    async def test_unknown_names(self, journal):
        with pytest.raises(UsageError, match="approvals"):
            await journal.rows("runs; DROP TABLE runs")
        with pytest.raises(UsageError, match="column"):
            await journal.rows("approvals", {"1=1 --": 1})
        with pytest.raises(UsageError, match="limit"):
            await journal.rows("approvals", limit=0)


async def test_a_closed_journal_says_so(journal, story):
    await journal.close()
    await journal.close()
    with pytest.raises(Exception, match="closed"):
        await journal.append(story.start())
    with pytest.raises(Exception, match="closed"):
        await journal.row("r1")
