"""Exported runs as values: what must hold of a bundle before any journal takes it in. Bundles come from strangers."""

import re
from collections.abc import Iterator

import msgspec

from clew.core.codec import decode_payload
from clew.core.errors import Tampered, UsageError
from clew.core.identity import digest_bytes
from clew.gate.ports.journal import Bundle, BundleEvent, Finding, Head, RunState
from clew.stores.audit import Note, RunAudit, Stored
from clew.stores.runcard import RunCard

FORMAT = 1
_HEX = re.compile(r"[0-9a-f]{64}")
_SALT = 16


class Unpacked(msgspec.Struct, frozen=True):
    """A bundle that holds: its run list line, what its state is here, and what the ledger notes."""

    bundle: Bundle
    card: RunCard
    state: RunState
    note: Note


def unpack(bundle: Bundle) -> Unpacked:
    """Verify a bundle. Raises UsageError for an unknown format, Tampered when it does not hold.

    A run that had not finished becomes ``waiting`` here: nobody drives it, and no driver should by itself, since its effects
    may go on elsewhere.
    """
    if bundle.format != FORMAT:
        raise UsageError(f"the bundle has format {bundle.format}, this Clew reads {FORMAT}", hint="upgrade Clew")
    if not bundle.events:
        raise Tampered("the bundle has no events", hint="export the run again")
    missing = tuple(seq for seq, event in enumerate(bundle.events, 1) if event.digest and event.payload is None)
    audit = RunAudit(bundle.run, set(missing).__contains__)
    for finding in _findings(bundle, audit):
        raise Tampered(
            f"the bundle of run {bundle.run[:80]!r} does not hold: {finding.message}", hint="export the run again"
        )
    if audit.card is None:
        raise Tampered("the bundle does not begin with the start of a run", hint="export the run again")
    card = msgspec.structs.replace(audit.card, idempotency="")  # the work was done elsewhere: no claim on the key here
    return Unpacked(bundle, card, card.ended or "waiting", Note(erased=missing, imported=True))


def _findings(bundle: Bundle, audit: RunAudit) -> Iterator[Finding]:
    for seq, event in enumerate(bundle.events, 1):
        yield from _shape(bundle, seq, event)
        salt = event.salt if event.payload is not None else None
        yield from audit.take(Stored(seq, event.envelope, event.digest, event.hash, salt, event.payload))
    for address, data in bundle.blobs.items():
        if not _HEX.fullmatch(address) or digest_bytes(data) != address:
            yield Finding(bundle.run, 0, "blob", f"blob {address[:12]!r} does not give its address")
    yield from audit.finish(Head(len(bundle.events), bundle.events[-1].hash))


def _shape(bundle: Bundle, seq: int, event: BundleEvent) -> Iterator[Finding]:
    if not _HEX.fullmatch(event.hash) or (event.digest and not _HEX.fullmatch(event.digest)):
        yield Finding(bundle.run, seq, "unreadable", f"event {seq} has no proper hash")
    if (event.payload is None) != (event.salt is None) or (event.salt is not None and len(event.salt) != _SALT):
        yield Finding(bundle.run, seq, "unreadable", f"event {seq} has no proper salt")
    if event.payload is not None:
        if bundle.redacted:
            yield Finding(bundle.run, seq, "payload", f"event {seq} has a payload in a bundle that says it is redacted")
        try:
            decode_payload(event.payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            yield Finding(bundle.run, seq, "payload", f"the payload of event {seq} is no JSON")
