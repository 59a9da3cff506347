from clew.core.events import Noted
from clew.gate.ports.projection import Entry


def test_an_entry_without_a_payload_has_an_empty_body():
    assert Entry("r", 1, 2, Noted(name="x")).body == b""
