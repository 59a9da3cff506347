"""The contract that every interceptor keeps, held against those that are here."""

from clew.core.events import EffectFinished, Event
from clew.gate.interceptor import Call, Interceptor
from clew.policies import ORDER
from clew.policies.cache import Cache
from clew.policies.milestones import Milestones
from clew.policies.modes import Modes
from clew.policies.redact import Credentials


class Unused:
    """Answers and secrets that nobody asks for here."""


SHIPPED = (Modes(), Milestones(), Cache(Unused(), {}, Unused()), Credentials(Unused()))


def test_each_has_a_name_of_its_own_in_the_fixed_order():
    assert tuple(one.name for one in SHIPPED) == ORDER


def test_folding_is_pure():
    event = Event(EffectFinished(key="k", kind="tool", name="n", digest="", task="0", node="a"), {"output": 1}, 0)
    for one in SHIPPED:
        assert one.fold(None, event) == one.fold(None, event)


def test_the_protocols_name_what_they_ask_for():
    assert {n for n in vars(Interceptor) if not n.startswith("_")} == {"around", "fold"}
    assert {n for n in vars(Call) if not n.startswith("_")} == {"ask", "note", "state"}
