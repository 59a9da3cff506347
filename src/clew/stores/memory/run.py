"""One run in memory: its events as they were given, and what is derived from them when somebody asks."""

import os
from collections.abc import Iterator

import msgspec

from clew.core.codec import decode_envelope, decode_payload, encode_envelope, encode_payload
from clew.core.errors import UsageError
from clew.core.events import Event
from clew.core.identity import chain, payload_digest
from clew.gate.ports.journal import Bundle, BundleEvent, Head, Message, Record, RunFilter, RunRow, RunState
from clew.gate.ports.projection import Entry
from clew.stores.audit import Stored
from clew.stores.bundles import FORMAT, Unpacked
from clew.stores.money import from_pico
from clew.stores.runcard import RunCard, fold, open_card

_SALT = 16


class MemoryRun:
    """``stored`` is the prefix of ``events`` whose hashes were computed; ``folded`` how many are in the card."""

    __slots__ = (
        "card",
        "ended",
        "epoch",
        "events",
        "folded",
        "inbox",
        "number",
        "owner",
        "projected",
        "run",
        "state",
        "stored",
    )

    def __init__(self, run: str, number: int, first: Event, state: RunState) -> None:
        self.run = run
        self.number = number
        self.card: RunCard = open_card(run, first.fact, first.at)
        self.folded = 1
        self.events: list[Event] = []
        self.stored: list[Stored] = []
        self.state: RunState = state
        self.ended: RunState | None = None
        self.epoch = 0
        self.owner = ""
        self.inbox: list[Message] = []
        self.projected = 0

    def link(self) -> list[Stored]:
        """Compute what is missing of the chain. Raises UsageError for a payload that is no JSON."""
        stored = self.stored
        hashed = stored[-1].hash if stored else ""
        for seq in range(len(stored) + 1, len(self.events) + 1):
            event = self.events[seq - 1]
            envelope = encode_envelope(seq, event)
            try:
                body = encode_payload(event.payload)
            except (TypeError, ValueError, RecursionError) as error:
                raise UsageError(f"the payload of {type(event.fact).__name__} is no JSON: {error}") from error
            salt = os.urandom(_SALT) if body else None
            digest = payload_digest(salt, body) if salt else ""
            hashed = chain(hashed, envelope, digest)
            stored.append(Stored(seq, envelope, digest, hashed, salt, body or None))
        return stored

    def records(self, after: int, upto: int | None) -> list[Record]:
        stored = self.link()
        last = len(stored) if upto is None else min(upto, len(stored))
        return [
            Record(self.run, one.seq, self.events[one.seq - 1], one.hash, erased=bool(one.digest) and one.salt is None)
            for one in stored[max(0, after) : max(0, last)]
        ]

    def entries(self, after: int, upto: int) -> Iterator[Entry]:
        for one in self.link()[after:upto]:
            event = self.events[one.seq - 1]
            yield Entry(self.run, one.seq, event.at, event.fact, one.body or b"")

    def erase(self, seqs: set[int] | None) -> tuple[int, ...]:
        """Forget payloads; the numbers of those that were here."""
        found: list[int] = []
        for index, one in enumerate(self.link()):
            if one.salt is not None and (seqs is None or one.seq in seqs):
                self.stored[index] = msgspec.structs.replace(one, salt=None, body=None)
                event = self.events[index]
                self.events[index] = Event(event.fact, None, event.at)
                found.append(one.seq)
        return tuple(found)

    def line(self) -> RunCard:
        """The card, brought up to date."""
        for event in self.events[self.folded :]:
            fold(self.card, event.fact, event.at)
        self.folded = max(1, len(self.events))
        return self.card

    def row(self) -> RunRow:
        card, last = self.line(), self.link()[-1]
        return RunRow(
            run=self.run,
            workflow=card.workflow,
            plan=card.plan,
            state=self.state,
            status=card.status,
            created=card.created,
            updated=card.updated,
            head=Head(last.seq, last.hash),
            owner=self.owner,
            parent=card.parent,
            fork_of=card.fork_of,
            tenant=card.tenant,
            user=card.user,
            cost=from_pico(card.cost),
            epoch=self.epoch,
            idempotency=card.idempotency,
        )

    def passes(self, where: RunFilter) -> bool:
        card = self.line()
        return (
            (not where.states or self.state in where.states)
            and (not where.workflow or card.workflow == where.workflow)
            and (where.parent is None or card.parent == where.parent)
            and self.run.startswith(where.prefix)
            and (not where.idempotency or card.idempotency == where.idempotency)
            and (not where.tenant or card.tenant == where.tenant)
            and (where.updated_before is None or card.updated < where.updated_before)
        )

    def bundle(self, redacted: bool, blobs: dict[str, bytes]) -> Bundle:
        events = tuple(
            BundleEvent(
                envelope=one.envelope,
                digest=one.digest,
                hash=one.hash,
                salt=None if redacted else one.salt,
                payload=None if redacted else one.body,
            )
            for one in self.link()
        )
        return Bundle(format=FORMAT, run=self.run, redacted=redacted, events=events, blobs=blobs)


def adopt(unpacked: Unpacked, number: int) -> MemoryRun:
    """A run out of a verified bundle, with the hashes that it has there."""
    stored: list[Stored] = []
    events: list[Event] = []
    for seq, event in enumerate(unpacked.bundle.events, 1):
        stored.append(Stored(seq, event.envelope, event.digest, event.hash, event.salt, event.payload))
        head = decode_envelope(event.envelope)
        events.append(Event(head.fact, decode_payload(event.payload or b""), head.at))
    run = MemoryRun(unpacked.bundle.run, number, events[0], unpacked.state)
    run.card, run.folded = unpacked.card, len(events)
    run.stored, run.events, run.ended = stored, events, unpacked.card.ended
    return run
