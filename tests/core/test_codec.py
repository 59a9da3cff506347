import msgspec
import pytest

from clew.core import events as ev
from clew.core.codec import decode_envelope, decode_payload, encode_envelope, encode_payload, plain
from clew.core.events import Event

FACTS = [
    ev.RunStarted(run="r", workflow="w", plan="p", start="s", fork_of=ev.ForkOf("q", 3, "h"), deadline=5),
    ev.DriverStarted(owner="o", epoch=2),
    ev.DriverStopped(reason="x"),
    ev.NodeStarted(task="0", node="a", attempt=1, entry=2),
    ev.NodeCompleted(task="0", node="a", attempt=1),
    ev.NodeFailed(task="0", node="a", attempt=1, code="boom"),
    ev.NodeSuspended(task="0", node="a", attempt=1, ms=7),
    ev.NodeStopped(task="0", node="a", attempt=1),
    ev.EffectStarted(key="k", kind="tool", name="n", digest="d", task="0", node="a", wait=True, due=1),
    ev.EffectFinished(key="k", kind="tool", name="n", digest="d", task="0", node="a", usage={"in": 3}, cost="0.1"),
    ev.RunPaused(reason="r", node="a"),
    ev.RunUnpaused(by="b"),
    ev.StopRequested(code="deadline_exceeded"),
    ev.RunFinished(state="completed", status="partial"),
    ev.PayloadsErased(seqs=(1, 2)),
    ev.Noted(name="n", by="b"),
]


def test_every_fact_of_the_union_is_here():
    assert {type(f) for f in FACTS} == set(ev.Fact.__args__)


@pytest.mark.parametrize("fact", FACTS, ids=lambda f: type(f).__name__)
def test_an_envelope_comes_back_as_it_went(fact):
    envelope = decode_envelope(encode_envelope(9, Event(fact, {"secret": 1}, 42)))
    assert (envelope.seq, envelope.at, envelope.fact) == (9, 42, fact)


def test_an_envelope_holds_no_content():
    assert b"secret" not in encode_envelope(1, Event(FACTS[0], {"input": "secret"}, 1))


def test_a_fact_written_by_an_older_version_is_read():
    older = b'{"seq":1,"at":2,"fact":{"type":"NodeStarted","task":"0","node":"a","attempt":1}}'
    assert decode_envelope(older).fact == ev.NodeStarted(task="0", node="a", attempt=1, entry=1)


def test_what_is_no_envelope_is_refused():
    with pytest.raises(msgspec.ValidationError):
        decode_envelope(b'{"seq":1,"at":2,"fact":{"type":"Nonsense"}}')


@pytest.mark.parametrize("value", [{"a": [1, None, "x"]}, [], "text", 0, False])
def test_payloads_come_back(value):
    assert decode_payload(encode_payload(value)) == value


def test_no_payload_is_no_bytes():
    assert encode_payload(None) == b""
    assert decode_payload(b"") is None


def test_plain_is_what_a_replay_would_read():
    assert plain({"t": (1, 2), 3: "x"}) == {"t": [1, 2], "3": "x"}
    with pytest.raises(TypeError):
        plain({"f": print})
