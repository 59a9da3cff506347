"""Bounds as a manifest states them; a conflict says who, what was expected and what is there."""

from clew.context.log.port import NO_BOUNDS, Bounds, VersionConflict, bounds_of
from clew.core.errors import Conflict
from clew.manifest.models.base import Retention


def test_bounds_of_a_manifest() -> None:
    assert bounds_of(None) == NO_BOUNDS == bounds_of(Retention())
    stated = Retention(max_items=5, max_age="24h", max_size="2MiB")
    assert bounds_of(stated) == Bounds(max_items=5, max_age=86_400_000, max_size=2 << 20)


def test_a_conflict_explains_itself() -> None:
    error = VersionConflict("notes/a", 3, 0)
    assert isinstance(error, Conflict)
    assert str(error).startswith("document 'notes/a': version 3 was expected, found is no such document (read it again")
    assert "none was expected, found is version 2" in str(VersionConflict("a", 0, 2))
