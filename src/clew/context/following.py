"""What is derived follows its log: from where it stands, or from the beginning."""

from collections.abc import Iterator
from functools import partial

from clew.context.derived import Derived
from clew.context.log.port import Heads, Log
from clew.gate.ports.context import Version

_PAGE = 1000
"""Versions that are read at once."""
_SMALL = 100
"""The same while others search: they wait for so long."""


def follow(derived: Derived, log: Log, heads: Heads) -> bool:
    """Take in what was written since, up to ``heads`` at least. False: the log has forgotten what would be needed, before or
    while it was read; what is derived is to be made anew."""
    began = derived.seen
    if heads.floor > derived.floor:
        if began < heads.floor:
            return False
        derived.floor = heads.floor
    versions = partial(log.get_many, embedder=derived.space)
    # Before the versions: those come with the vectors that they have by now.
    if derived.attached < heads.m:
        if derived.space:
            for page in _attached(derived, log, heads.m, derived.space):
                derived.attach([n for _, n, _, _ in page], versions)
        for page in _attached(derived, log, heads.m):
            derived.attach_unlike([n for _, n, _, _ in page])
        derived.attached = heads.m
    while derived.seen < heads.n and (page := _page(derived, log, _PAGE)):
        derived.apply(page)
    derived.align(versions)
    return log.heads().floor <= began  # beyond it, a removal may have been compacted away before it was read


def built(log: Log, space: str, model: Derived | None = None) -> Derived:
    """From the log alone, with rows for what is live and no others. ``model``: whose space and learned embedder it takes over.

    Searches and writes may go on meanwhile; ``follow`` gives it what they wrote.
    """
    while True:
        derived, heads = Derived(space, model), log.heads()
        live = set(log.live_places())
        derived.floor, derived.attached = heads.floor, heads.m

        def lasts(version: Version, live: set[int] = live, head: int = heads.n) -> bool:
            """What is not live is replaced by what follows."""
            return version.n > head or version.n in live

        while derived.seen < heads.n and (page := _page(derived, log, _SMALL)):
            derived.apply(page, lasts)
        now = log.heads()
        if now.floor == heads.floor and follow(derived, log, now):
            return derived


def _attached(derived: Derived, log: Log, upto: int, embedder: str = "") -> Iterator[list[tuple[int, int, str, bytes]]]:
    m = derived.attached
    while m < upto and (page := log.vectors_since(m, _PAGE, embedder)):
        yield page
        m = page[-1][0]


def _page(derived: Derived, log: Log, most: int) -> list[Version]:
    return log.since(derived.seen, most, derived.space)
