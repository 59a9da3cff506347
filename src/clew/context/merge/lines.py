"""Three-way merge of text by lines: diff3 as in Khanna, Kunal and Pierce, "A Formal Investigation of Diff3" (FSTTCS 2007)."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from clew.context.merge.conflict import Conflict, Lines, Resolver
from clew.context.merge.matching import matches


class Merged(msgspec.Struct, frozen=True):
    """``text`` has a marked block for each conflict that is not settled."""

    text: str
    conflicts: tuple[Conflict, ...] = ()


class _Stretch(NamedTuple):
    """Where a chunk stands in the three texts, as slices; ``stable``: all three are the same there."""

    stable: bool
    base: slice
    ours: slice
    theirs: slice


def merge_text(base: str, ours: str, theirs: str, resolve: Resolver | None = None) -> Merged:
    """Both sides' changes of ``base``. Where they changed the same lines differently: a conflict; the same change: taken once.

    Lines end with a line feed; whether the last one has it is merged like a line of its own.
    """
    old, one, two = _lines(base), _lines(ours), _lines(theirs)
    out: list[str] = []
    conflicts: list[Conflict] = []
    for stretch in _stretches(old, one, two):
        was, mine, other = old[stretch.base], one[stretch.ours], two[stretch.theirs]
        if stretch.stable or mine == other or other == was:
            out.extend(mine)
        elif mine == was:
            out.extend(other)
        else:
            conflict = _conflict(stretch, was, mine, other, len(out))
            settled = resolve(conflict) if resolve else None
            if settled is None:
                conflicts.append(conflict)
                out.extend(_marked(was, mine, other))
            else:
                out.extend(_lines(settled))
    ended = _ended(base), _ended(ours), _ended(theirs)
    keeps = ended[1] if ended[1] != ended[0] else ended[2]
    return Merged(_text(out, ended=keeps or bool(conflicts)), tuple(conflicts))


def _stretches(base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> Iterator[_Stretch]:
    """The three texts as stable and unstable chunks in turn; a chunk is unstable up to the next line that all three keep."""
    in_ours, in_theirs = dict(matches(base, ours)), dict(matches(base, theirs))
    kept = [(o, in_ours[o], in_theirs[o]) for o in sorted(in_ours.keys() & in_theirs.keys())]
    done = (0, 0, 0)
    for places in (*kept, (len(base), len(ours), len(theirs))):
        if places != done:
            yield _Stretch(False, *(slice(a, b) for a, b in zip(done, places, strict=True)))
        done = (places[0] + 1, places[1] + 1, places[2] + 1)
        if places[0] < len(base):
            yield _Stretch(True, *(slice(place, place + 1) for place in places))


def _conflict(stretch: _Stretch, base: list[str], ours: list[str], theirs: list[str], above: int) -> Conflict:
    return Conflict(
        part="text",
        base=_text(base),
        ours=_text(ours),
        theirs=_text(theirs),
        base_lines=Lines(stretch.base.start + 1, len(base)),
        ours_lines=Lines(stretch.ours.start + 1, len(ours)),
        theirs_lines=Lines(stretch.theirs.start + 1, len(theirs)),
        merged_lines=Lines(above + 1, len(base) + len(ours) + len(theirs) + 4),
    )


def _marked(base: list[str], ours: list[str], theirs: list[str]) -> list[str]:
    return ["<<<<<<< ours", *ours, "||||||| base", *base, "=======", *theirs, ">>>>>>> theirs"]


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def _ended(text: str) -> bool:
    """Whether the last line has its line feed; no line lacks it."""
    return not text or text.endswith("\n")


def _text(lines: list[str], *, ended: bool = True) -> str:
    # An empty last line is there only by its line feed.
    return "\n".join(lines) + ("\n" if lines and (ended or not lines[-1]) else "")
