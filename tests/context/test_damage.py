"""Damage of an index is no fault of the user's: it is caught and mended, so it must never look like an error of Clew's own."""

from clew.context.damage import Damaged
from clew.core.errors import ClewError


def test_damage_is_not_taken_for_what_a_user_is_told():
    assert not issubclass(Damaged, ClewError | OSError | ValueError)
    assert str(Damaged("index/7: format 2")) == "index/7: format 2"
