"""Verification as pure steps: feed stored events and ledger rows in order, get findings. Nothing is kept but the last link.

Tamper evidence: the hash of an event covers the hash before it, its envelope and the salted digest of its payload; a ledger
row covers the row before it and the head of one run at that commit. So a changed byte, a removed event, a cut tail and a
removed run each break a link; what a thief of the whole file could rebuild is only seen with a head kept elsewhere.
"""

import hashlib
from collections.abc import Callable, Iterator

import msgspec

from clew.core.codec import Envelope, decode_envelope
from clew.core.errors import UsageError
from clew.core.events import RunStarted
from clew.core.identity import chain, digest_bytes, payload_digest
from clew.gate.ports.journal import Finding, Head
from clew.stores.runcard import RunCard, fold, open_card


class Stored(msgspec.Struct, frozen=True):
    """An event as it lies in the store. ``digest`` "" means that it has no payload. ``salt`` None: its payload is not there;
    ``body`` None with a salt: the blob that holds it is not there, or is not the one that was named."""

    seq: int
    envelope: bytes
    digest: str
    hash: str
    salt: bytes | None
    body: bytes | None


class LedgerRow(msgspec.Struct, frozen=True):
    """``run`` None: the run list has no such run. ``event_hash`` None: the run has no event ``seq``."""

    n: int
    run: str | None
    seq: int
    hash: str
    chain: str
    note: str | None
    event_hash: str | None


class Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a ledger row says besides the head."""

    erased: tuple[int, ...] = ()
    imported: bool = False


_notes = msgspec.json.Decoder(Note)
_encode_note = msgspec.json.Encoder().encode


def encode_note(note: Note) -> str:
    return _encode_note(note).decode()


def decode_note(text: str | None) -> Note:
    """Raises msgspec.DecodeError."""
    return Note() if text is None else _notes.decode(text)


def ledger_link(previous: str, n: int, run: str, head: Head, note: str | None) -> str:
    """Chain value of ledger row ``n``."""
    text = f"{previous}\n{n}\n{run}\n{head.seq}\n{head.hash}\n{note or ''}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class RunAudit:
    """Checks the events of one run, in order. ``erased``: whether the ledger says that a payload was erased."""

    def __init__(self, run: str, erased: Callable[[int], bool]) -> None:
        self.run = run
        self.seq = 0
        self.hash = ""
        self.card: RunCard | None = None
        self._computed = ""
        self._erased = erased

    def take(self, stored: Stored) -> Iterator[Finding]:
        """Findings of one event."""
        if stored.seq != self.seq + 1:
            what = (
                f"events {self.seq + 1} to {stored.seq - 1} are missing" if stored.seq > self.seq else "events overlap"
            )
            yield self._finding("sequence", f"{what}: after event {self.seq} stands event {stored.seq}", stored.seq)
        computed = chain(self.hash, stored.envelope, stored.digest)
        if stored.hash not in (computed, chain(self._computed, stored.envelope, stored.digest)):
            yield self._finding(
                "chain",
                f"event {stored.seq} was changed: its content does not give its hash {stored.hash[:12]}",
                stored.seq,
            )
        self._computed, self.hash, self.seq = computed, stored.hash, stored.seq
        yield from self._payload(stored)
        yield from self._envelope(stored)

    def _payload(self, stored: Stored) -> Iterator[Finding]:
        seq = stored.seq
        if not stored.digest:
            if stored.salt is not None:
                yield self._finding(
                    "payload", f"event {seq} has a payload where the chain says that there is none", seq
                )
        elif stored.salt is None:
            if not self._erased(seq):
                yield self._finding(
                    "payload", f"the payload of event {seq} is gone, and no erasure is in the ledger", seq
                )
        elif self._erased(seq):
            yield self._finding(
                "payload", f"the payload of event {seq} is here, but the ledger says that it was erased", seq
            )
        elif stored.body is None:
            yield self._finding("blob", f"the blob that holds the payload of event {seq} is gone", seq)
        elif payload_digest(stored.salt, stored.body) != stored.digest:
            yield self._finding("payload", f"the payload of event {seq} was changed: it does not give its digest", seq)

    def _envelope(self, stored: Stored) -> Iterator[Finding]:
        seq = stored.seq
        try:
            envelope = decode_envelope(stored.envelope)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            yield self._finding("unreadable", f"event {seq} is no event of a known version: {error}", seq)
            return
        if envelope.seq != seq:
            yield self._finding("sequence", f"event {seq} says of itself that it is number {envelope.seq}", seq)
        yield from self._fold(envelope, seq)

    def _fold(self, envelope: Envelope, seq: int) -> Iterator[Finding]:
        fact = envelope.fact
        try:
            if self.card is None and (seq == 1 or isinstance(fact, RunStarted)):
                self.card = open_card(self.run, fact, envelope.at)
            elif self.card is not None:
                fold(self.card, fact, envelope.at)
        except UsageError as error:
            yield self._finding("unreadable", f"event {seq}: {error}", seq)

    def finish(self, head: Head) -> Iterator[Finding]:
        """Findings about the end: ``head`` is what the run list says."""
        if head.seq > self.seq:
            message = f"the run ends with event {self.seq}, but its head is {head.seq}: the tail was cut"
            yield self._finding("truncated", message)
        elif head.seq < self.seq:
            yield self._finding("head", f"the run list says {head.seq} events, {self.seq} are here")
        elif head.hash != self.hash:
            yield self._finding("head", f"the run list's hash of the head {head.seq} is not that of the event")

    def _finding(self, what: str, message: str, seq: int = 0) -> Finding:
        return Finding(self.run, seq, what, message)


class LedgerAudit:
    """Checks ledger rows in order of ``n``. ``previous``: the chain value before the first row given."""

    def __init__(self, n: int = 0, previous: str = "") -> None:
        self.n = n
        self._chain = previous

    def take(self, row: LedgerRow) -> Iterator[Finding]:
        """Findings of one row."""
        run, seq = row.run or "", row.seq
        if row.n != self.n + 1:
            yield Finding("", 0, "ledger", f"ledger rows {self.n + 1} to {row.n - 1} are missing")
        if row.run is None:
            yield Finding("", 0, "removed", f"ledger row {row.n} names a run that is gone: a run was removed")
        elif ledger_link(self._chain, row.n, run, Head(seq, row.hash), row.note) != row.chain:
            yield Finding(
                run, seq, "ledger", f"ledger row {row.n} was changed or moved: it does not continue the row before it"
            )
        if row.run is not None and row.event_hash is None:
            yield Finding(
                run, seq, "truncated", f"ledger row {row.n} saw event {seq} of the run, which is gone: its tail was cut"
            )
        elif row.event_hash is not None and row.event_hash != row.hash:
            yield Finding(run, seq, "ledger", f"ledger row {row.n} saw another hash of event {seq} than it has now")
        self.n, self._chain = row.n, row.chain


def check_head(name: str, kept: Head, found: str | None) -> Iterator[Finding]:
    """``found``: the hash that now stands where ``kept`` was taken, None when nothing stands there."""
    run = name
    label = f"run {name}" if name else "the ledger"
    if found is None:
        yield Finding(
            run, kept.seq, "truncated", f"{label} had {kept.seq} entries when its head was kept; the tail was cut"
        )
    elif found != kept.hash:
        yield Finding(
            run,
            kept.seq,
            "rewritten",
            f"entry {kept.seq} of {label} is not the one whose head was kept: it was rewritten",
        )


def check_blob(address: str, size: int, data: bytes) -> Iterator[Finding]:
    if digest_bytes(data) != address:
        yield Finding("", 0, "blob", f"blob {address[:12]} was changed: its bytes do not give its address")
    elif size != len(data):
        yield Finding("", 0, "blob", f"blob {address[:12]} has {len(data)} bytes, its row says {size}")
