"""Three-way merge of JSON by key. Lists and scalars are values: changed on one side, or in conflict."""

from contextlib import suppress
from typing import Any, Final, Literal, cast

import msgspec

from clew.context.merge.conflict import Conflict, Resolver

MOST_LEVELS = 100
"""Of objects that are merged key by key; what is below is a value."""
_encoder = msgspec.json.Encoder(order="deterministic")


class _Absent:
    """No such key; not the same as null."""


ABSENT: Final = _Absent()


class MergedJson(msgspec.Struct, frozen=True):
    """``value`` has our side's value where a conflict is not settled."""

    value: Any
    conflicts: tuple[Conflict, ...] = ()


def merge_json(
    base: Any, ours: Any, theirs: Any, resolve: Resolver | None = None, part: Literal["metadata", "json"] = "json"
) -> MergedJson:
    """Both sides' changes of ``base``; objects are merged key by key, down to ``MOST_LEVELS``.

    Values are equal when they are the same JSON: 1, 1.0 and true are three values. A conflict names its place by JSON pointer;
    what ``resolve`` gives is JSON, or empty for no such key; anything else settles nothing.
    """
    merger = _Merger(resolve, part)
    value = merger.merge(base, ours, theirs, "")
    return MergedJson(None if value is ABSENT else value, tuple(merger.conflicts))


class _Merger:
    def __init__(self, resolve: Resolver | None, part: Literal["metadata", "json"]) -> None:
        self._resolve = resolve
        self._part: Literal["metadata", "json"] = part
        self.conflicts: list[Conflict] = []

    def merge(self, base: Any, ours: Any, theirs: Any, pointer: str) -> Any:
        if _same(ours, theirs) or _same(theirs, base):
            return ours
        if _same(ours, base):
            return theirs
        one, two, old = _object(ours), _object(theirs), {} if base is ABSENT else _object(base)
        if one is None or two is None or old is None or pointer.count("/") >= MOST_LEVELS:
            return self._settle(base, ours, theirs, pointer)
        merged: dict[str, Any] = {}
        for key in (*one, *(key for key in two if key not in one)):
            below = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
            value = self.merge(old.get(key, ABSENT), one.get(key, ABSENT), two.get(key, ABSENT), below)
            if value is not ABSENT:
                merged[key] = value
        return merged

    def _settle(self, base: Any, ours: Any, theirs: Any, pointer: str) -> Any:
        conflict = Conflict(
            part=self._part, base=_shown(base), ours=_shown(ours), theirs=_shown(theirs), pointer=pointer
        )
        settled = self._resolve(conflict) if self._resolve else None
        if settled == "":
            return ABSENT
        if settled is not None:
            with suppress(msgspec.MsgspecError, RecursionError):
                return msgspec.json.decode(settled)
        self.conflicts.append(conflict)
        return ours


def _object(value: Any) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _same(one: Any, two: Any) -> bool:
    if one is ABSENT or two is ABSENT:
        return one is two
    return _encoder.encode(one) == _encoder.encode(two)


def _shown(value: Any) -> str:
    return "" if value is ABSENT else _encoder.encode(value).decode()
