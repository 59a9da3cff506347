"""Tampering with the file: whatever is changed, cut or removed is found, and named."""

import sqlite3

import msgspec
import pytest

from clew.core.events import Event
from clew.gate.ports.journal import Head
from clew.stores.sqlite.verify import verify

BLOB = "x" * 40_000


@pytest.fixture
async def filled(opened, story, path):
    """Three finished runs, one with a blob and a plan, one partly erased. The journal is closed; a raw connection is given."""
    journal = opened()
    plan = await journal.blobs.put(b"the plan")
    for run in ("r1", "r2", "r3"):
        start = story.start(run)
        fact = msgspec.structs.replace(start.events[0].fact, plan=plan)
        head = (await journal.append(msgspec.structs.replace(start, events=[Event(fact, {"input": run}, 5)]))).seq
        for output in ("small", BLOB + run, "last"):
            head = (await journal.append(story.node(head, run, output=output))).seq
        await journal.append(story.finish(head, run))
        await journal.release(run)
    await journal.erase("r3", [3])
    await journal.close()
    connection = sqlite3.connect(path, isolation_level=None)
    yield connection
    connection.close()


async def kinds(path, run=None, head=None):
    return {(finding.run, finding.seq, finding.what) for finding in verify(path, run, head)}


async def test_nothing_was_done(filled, path):
    assert verify(path, None, None) == []
    assert verify(path, "r2", None) == []


CELLS = [
    ("events", "envelope", "run = 2 AND seq = 4", ("r2", 4, "chain")),
    ("events", "digest", "run = 2 AND seq = 3", ("r2", 3, "chain")),
    ("events", "hash", "run = 2 AND seq = 4", ("r2", 4, "chain")),
    ("events", "hash", "run = 2 AND seq = 8", ("r2", 8, "chain")),
    ("payloads", "body", "n = (SELECT n FROM events WHERE run = 2 AND seq = 3)", ("r2", 3, "payload")),
    ("payloads", "salt", "n = (SELECT n FROM events WHERE run = 2 AND seq = 3)", ("r2", 3, "payload")),
    ("payloads", "blob", "n = (SELECT n FROM events WHERE run = 2 AND seq = 5)", ("r2", 5, "blob")),
    ("blobs", "data", "id = (SELECT id FROM blobs WHERE instr(data, 'r2'))", ("r2", 5, "payload")),
    ("blobs", "data", "size = 8", ("", 0, "blob")),
    ("blobs", "address", "size = 8", ("", 0, "blob")),
    ("ledger", "hash", "run = 2 AND seq = 3", ("r2", 3, "ledger")),
    ("ledger", "chain", "run = 2 AND seq = 3", ("r2", 3, "ledger")),
    ("ledger", "note", "note IS NOT NULL", ("r3", 8, "ledger")),
    ("runs", "hash", "id = 2", ("r2", 0, "head")),
    ("runs", "workflow", "id = 2", ("r2", 0, "row")),
    ("runs", "plan", "id = 2", ("r2", 0, "row")),
    ("runs", "status", "id = 2", ("r2", 0, "row")),
    ("runs", "state", "id = 2", ("r2", 0, "row")),
    ("runs", "tenant", "id = 2", ("r2", 0, "row")),
    ("runs", "run", "id = 2", ("r!", 0, "row")),
]


@pytest.mark.parametrize(("table", "column", "where", "expected"), CELLS)
async def test_one_changed_byte(filled, path, table, column, where, expected):
    (value,) = filled.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchone()
    changed = value[:-1] + (bytes([value[-1] ^ 1]) if isinstance(value, bytes) else "!")
    assert filled.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (changed,)).rowcount == 1
    found = await kinds(path)
    if table == "runs" and column == "run":
        assert any(run == "r!" for run, _, _ in found)
    else:
        assert expected in found


@pytest.mark.parametrize("place", range(0, 110, 7))
async def test_any_byte_of_an_envelope(filled, path, place):
    (value,) = filled.execute("SELECT CAST(envelope AS BLOB) FROM events WHERE run = 1 AND seq = 3").fetchone()
    place %= len(value)
    changed = value[:place] + bytes([value[place] ^ 0x80]) + value[place + 1 :]
    filled.execute("UPDATE events SET envelope = CAST(? AS TEXT) WHERE run = 1 AND seq = 3", (changed,))
    assert ("r1", 3, "chain") in await kinds(path)
    assert ("r1", 3, "chain") in await kinds(path, "r1")


@pytest.mark.parametrize("column", ["seq", "last", "updated", "created", "cost"])
async def test_numbers_of_the_run_list(filled, path, column):
    filled.execute(f"UPDATE runs SET {column} = {column} + 1 WHERE id = 2")
    assert {run for run, _, _ in await kinds(path)} == {"r2"}


async def test_one_change_is_one_finding_in_the_chain(filled, path):
    filled.execute("UPDATE events SET hash = zeroblob(32) WHERE run = 2 AND seq = 4")
    assert await kinds(path) == {("r2", 4, "chain")}
    filled.execute("UPDATE events SET envelope = replace(envelope, 'n3', 'n4') WHERE run = 1 AND seq = 4")
    assert await kinds(path, "r1") == {("r1", 4, "chain")}


async def test_a_cut_tail(filled, path):
    filled.execute("DELETE FROM events WHERE run = 2 AND seq > 5")
    assert ("r2", 0, "truncated") in await kinds(path)
    assert ("r2", 8, "truncated") in await kinds(path)


async def test_a_cut_tail_with_a_mended_run_list(filled, path):
    filled.execute("DELETE FROM events WHERE run = 2 AND seq > 5")
    filled.execute(
        "UPDATE runs SET seq = 5, status = NULL, state = 'running', (hash, last, updated) = "
        "(SELECT hash, n, json_extract(envelope, '$.at') FROM events WHERE run = 2 AND seq = 5) WHERE id = 2"
    )
    assert {("r2", 7, "truncated"), ("r2", 8, "truncated")} <= await kinds(path)
    assert ("r2", 8, "truncated") in await kinds(path, "r2")


async def test_a_cut_tail_and_ledger_show_by_a_head_kept_elsewhere(filled, path):
    (n, chain) = filled.execute("SELECT n, lower(hex(chain)) FROM ledger ORDER BY n DESC").fetchone()
    (hashed,) = filled.execute("SELECT lower(hex(hash)) FROM runs WHERE id = 3").fetchone()
    filled.execute("DELETE FROM events WHERE run = 3 AND seq > 7")
    filled.execute("DELETE FROM ledger WHERE n >= (SELECT n FROM ledger WHERE run = 3 AND seq = 8 ORDER BY n LIMIT 1)")
    filled.execute(
        "UPDATE runs SET seq = 7, status = NULL, state = 'running', (hash, last, updated) = "
        "(SELECT hash, n, json_extract(envelope, '$.at') FROM events WHERE run = 3 AND seq = 7) WHERE id = 3"
    )
    filled.execute("DELETE FROM payloads WHERE n NOT IN (SELECT n FROM events)")
    assert {what for _, _, what in await kinds(path)} == {"payload"}  # the erasure went with the ledger
    assert ("", n, "truncated") in await kinds(path, None, Head(n, chain))
    assert ("r3", 8, "truncated") in await kinds(path, "r3", Head(8, hashed))


@pytest.mark.parametrize("whole", [False, True])
async def test_a_removed_run(filled, path, whole):
    filled.execute("DELETE FROM runs WHERE id = 2")
    if whole:
        filled.execute("DELETE FROM payloads WHERE n IN (SELECT n FROM events WHERE run = 2)")
        filled.execute("DELETE FROM events WHERE run = 2")
    assert ("", 0, "removed") in await kinds(path)
    filled.execute("DELETE FROM ledger WHERE run = 2")
    assert ("", 0, "ledger") in await kinds(path)


async def test_an_event_out_of_the_middle(filled, path):
    filled.execute("DELETE FROM events WHERE run = 2 AND seq = 4")
    assert ("r2", 5, "sequence") in await kinds(path)


async def test_bent_links(filled, path):
    filled.execute("UPDATE events SET prev = n WHERE run = 2 AND seq = 5")
    assert ("r2", 5, "sequence") in await kinds(path)
    assert "sequence" in {what for _, _, what in await kinds(path, "r2")}


async def test_a_reordered_ledger(filled, path):
    rows = filled.execute("SELECT n, run, seq, event, hash, chain, note FROM ledger WHERE n IN (2, 3)").fetchall()
    filled.execute("DELETE FROM ledger WHERE n IN (2, 3)")
    for row, n in zip(rows, (3, 2), strict=True):
        filled.execute(
            "INSERT INTO ledger(n, run, seq, event, hash, chain, note) VALUES (?, ?, ?, ?, ?, ?, ?)", (n, *row[1:])
        )
    assert "ledger" in {what for _, _, what in await kinds(path)}


async def test_a_payload_taken_silently(filled, path):
    filled.execute("DELETE FROM payloads WHERE n = (SELECT n FROM events WHERE run = 2 AND seq = 3)")
    assert await kinds(path) == {("r2", 3, "payload")}
    assert await kinds(path, "r2") == {("r2", 3, "payload")}


async def test_a_blob_taken_silently(filled, path):
    filled.execute("DELETE FROM blobs WHERE instr(data, 'r2')")
    assert ("r2", 5, "blob") in await kinds(path)


async def test_a_plan_taken_silently(filled, path):
    filled.execute("DELETE FROM blobs WHERE size = 8")
    assert ("r2", 1, "blob") in await kinds(path)


async def test_payloads_where_none_belong(filled, path):
    filled.execute("INSERT INTO payloads SELECT n, zeroblob(16), '1', NULL FROM events WHERE run = 2 AND seq = 2")
    assert ("r2", 2, "payload") in await kinds(path)
    filled.execute("INSERT INTO payloads VALUES (99999, zeroblob(16), '1', NULL)")
    assert ("", 0, "payload") in await kinds(path)


async def test_an_erased_payload_that_came_back(filled, path):
    filled.execute("INSERT INTO payloads SELECT n, zeroblob(16), '1', NULL FROM events WHERE run = 3 AND seq = 3")
    assert ("r3", 3, "payload") in await kinds(path)


async def test_a_run_put_in_by_hand(filled, path):
    filled.execute(
        "INSERT INTO runs SELECT 9, 'r9', seq, last, hash, updated, epoch, owner, state, status, cost, created, born, workflow, "
        "plan, parent, fork_of, tenant, user, idempotency FROM runs WHERE id = 1"
    )
    assert ("r9", 0, "ledger") in await kinds(path)


@pytest.mark.parametrize("value", [None, 7, "text", 1.5])
async def test_cells_of_another_type(filled, path, value):
    for table, column, where in (
        ("ledger", "chain", "n = 3"),
        ("events", "hash", "n = 3"),
        ("payloads", "salt", "n = 3"),
    ):
        if value is None:
            continue
        filled.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (value,))
    assert verify(path, None, None) != [] or value is None


async def test_a_damaged_page_is_a_finding(filled, path):
    filled.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    filled.close()
    data = bytearray(path.read_bytes())
    for start in range(4096, len(data), 4096):
        data[start : start + 8] = b"\xff" * 8
    path.write_bytes(data)
    assert "unreadable" in {finding.what for finding in verify(path, None, None)}
