"""Task envelopes: read leniently, written strictly (W12)."""

import contextlib

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.core import envelopes
from clew.core.envelopes import (
    AgentError,
    AgentResult,
    AgentTask,
    Constraints,
    Delta,
    Doc,
    Metrics,
    NewTask,
    ResultPayload,
    TaskError,
    read,
    result_payload,
    schemas,
    task_of,
    understand,
    write,
)
from clew.core.errors import UsageError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(texts, values, max_size=3)
constraints = st.builds(
    Constraints,
    timeout_ms=st.none() | st.integers(1, 10**9),
    deterministic=st.booleans(),
    idempotency_key=st.none() | texts,
)
agent_tasks = st.builds(
    AgentTask, id=names, parent_id=st.none() | names, agent=names, payload=values, constraints=constraints
)
docs = st.builds(Doc, id=texts, type=texts, path=texts, content=texts, metadata=objects)
payloads = st.builds(
    ResultPayload,
    delta=st.builds(Delta, doc=st.none() | docs, diff=texts, summary=texts),
    artifacts=st.lists(values, max_size=3),
    new_tasks=st.lists(st.builds(NewTask, agent=names, payload=values), max_size=3),
)
counts = st.integers(0, 2**53)
results = st.builds(
    AgentResult,
    id=names,
    parent_id=names,
    agent=names,
    payload=payloads,
    metrics=st.builds(Metrics, tokens_used=counts, time_ms=counts),
)
errors = st.builds(
    AgentError,
    id=names,
    parent_id=names,
    agent=names,
    error=st.builds(TaskError, code=names, message=texts, details=values),
)
all_envelopes = agent_tasks | results | errors


@settings(max_examples=40)
@given(all_envelopes)
def test_what_is_written_is_read_back_and_fits_its_schema(envelope):
    line = write(envelope)
    assert b"\n" not in line
    assert read(line) == envelope
    assert understand(msgspec.json.decode(line)) == envelope
    jsonschema_rs.validate(schemas()[type(envelope).__name__], msgspec.json.decode(line))


SPELLINGS = [
    str.upper,
    str.lower,
    lambda name: "".join(f"_{c.lower()}" if c.isupper() else c for c in name),
    lambda name: "".join(f"-{c}" if c.isupper() else c for c in name),
    lambda name: name[:1].upper() + name[1:],
]


@settings(max_examples=40)
@given(all_envelopes, st.sampled_from(SPELLINGS), objects)
def test_other_spellings_and_unknown_fields_change_nothing(envelope, spelt, unknown):
    plain = msgspec.json.decode(write(envelope))
    extra = {f"x {key} unknown": value for key, value in unknown.items()}
    other = {spelt(key): value for key, value in plain.items()} | extra
    for part in ("constraints", "metrics", "error"):
        if part in plain:
            other[spelt(part)] = {spelt(key): value for key, value in plain[part].items()} | extra
    if isinstance(envelope, AgentResult):
        payload = plain["payload"]
        payload["newTasks"] = [{spelt(k): v for k, v in new.items()} | extra for new in payload["newTasks"]]
        other[spelt("payload")] = {spelt(key): value for key, value in payload.items()} | extra
    assert understand(other) == envelope


@settings(max_examples=40)
@given(all_envelopes)
def test_null_is_as_good_as_missing(envelope):
    plain = msgspec.json.decode(write(envelope))
    fields = {f.encode_name for f in msgspec.structs.fields(type(envelope))}
    assert understand(plain | dict.fromkeys(fields - set(plain))) == envelope


@settings(max_examples=40)
@given(st.binary(max_size=60) | values.map(msgspec.json.encode))
def test_anything_else_is_refused_and_nothing_breaks(data):
    with contextlib.suppress(UsageError):
        assert isinstance(read(data), AgentTask)


def test_a_task_needs_nothing_but_its_agent():
    task = task_of({"agent": "coder"})
    assert (task.payload, task.parent_id, task.constraints) == (None, None, Constraints())
    assert task.id == task_of({"agent": "coder", "unknown": 1}).id
    assert task.id != task_of({"agent": "coder", "payload": 1}).id


def test_names_of_earlier_engines_are_understood():
    task = task_of({"type": "task", "task_id": 7, "agent_id": "coder", "input": {"a_b": None}, "parentID": 3})
    assert (task.id, task.parent_id, task.agent, task.payload) == ("7", "3", "coder", {"a_b": None})
    assert task_of({"agent": "a", "agentId": "b"}).agent == "a"
    assert task_of({"agent_id": "b", "agent": "a"}).agent == "a"


@pytest.mark.parametrize("version", [1, "1", 1.0, "1.0", " 1 ", None])
def test_the_protocol_may_be_said_in_many_ways(version):
    assert task_of({"agent": "a", "protocol_version": version}).protocol_version == 1


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ([], "not a list"),
        (None, "not null"),
        (3, "not int"),
        ({}, "agent"),
        ({"agent": ""}, "agent"),
        ({"agent": "a", "type": "AgentTusk"}, "AgentTusk"),
        ({"agent": "a", "type": []}, "type is"),
        ({"agent": "a", "protocolVersion": 2}, "protocolVersion is '2'"),
        ({"agent": "a", "protocolVersion": True}, "protocolVersion"),
        ({"agent": "a", "constraints": {"timeoutMs": 0}}, "timeoutMs"),
        ({"agent": "a", "constraints": {"timeoutMs": "soon"}}, "timeoutMs"),
        ({"agent": "a", "constraints": 3}, "constraints"),
        ({"agent": "a", "id": True}, "id"),
        ({"agent": "a", "type": "AgentResult", "id": "i", "parentId": "p", "payload": {"newTasks": 1}}, "newTasks"),
        ({"agent": "a", "type": "AgentError", "id": "i", "parentId": "p"}, "error"),
        ({"agent": "a", "type": "AgentError", "id": "i", "parentId": "p", "error": {"code": "c"}}, "AgentError"),
    ],
)
def test_what_is_no_task_is_refused_with_the_reason(raw, said):
    with pytest.raises(UsageError, match=said) as caught:
        task_of(raw)
    assert caught.value.code == "bad_envelope"
    assert "clew schema" in caught.value.hint


def test_deep_nesting_and_bad_json_are_refused():
    for data in (b"[" * 100_000, b'{"agent": "a", "payload": ' + b"[" * 100_000, "[", b"\xff"):
        with pytest.raises(UsageError, match="no JSON"):
            read(data)


@pytest.mark.parametrize(
    "envelope",
    [
        AgentTask(id="", agent="a"),
        AgentTask(id="i", agent="a", payload=float("nan")),
        AgentTask(id="i", agent="a", payload={1: 2}),
        AgentTask(id="i", agent="a", payload=object()),
        AgentTask(id="i", agent="a", payload="\ud800"),
        AgentTask(id=5, agent="a"),
        AgentTask(id="i", agent="a", protocol_version=2),
        AgentTask(id="i", agent="a", constraints=Constraints(timeout_ms=0)),
        AgentTask(id="i", agent="a", constraints={"timeoutMs": "5"}),
        AgentResult(id="i", parent_id="p", agent="a", metrics=Metrics(tokens_used=-1)),
        AgentError(id="i", parent_id="p", agent="a", error=TaskError(code="")),
    ],
)
def test_what_does_not_fit_is_not_written(envelope):
    with pytest.raises(UsageError, match="cannot be written"):
        write(envelope)


def test_optional_fields_without_a_value_are_not_written():
    plain = msgspec.json.decode(write(AgentTask(id="i", agent="a", payload={"parentId": None})))
    assert plain == {
        "type": "AgentTask", "id": "i", "agent": "a", "payload": {"parentId": None},
        "constraints": {"deterministic": True}, "protocolVersion": 1,
    }  # fmt: skip


def test_payloads_of_results_are_read_on_their_own():
    found = result_payload({"delta": {"doc": {"path": "a.py"}}, "new_tasks": [{"agent": "x"}], "other": 1})
    assert found == ResultPayload(delta=Delta(doc=Doc(path="a.py")), new_tasks=[NewTask(agent="x")])
    for raw in ({"delta": 1}, {"newTasks": [1]}, {"artifacts": {}}):
        with pytest.raises(UsageError):
            result_payload(raw)


def test_schemas_are_published_for_every_envelope():
    for name, schema in schemas().items():
        jsonschema_rs.Draft202012Validator(schema)
        assert schema["title"] == name
        assert {"type", "protocolVersion", "id", "agent"} <= set(schema["required"])
    assert set(schemas()) == set(envelopes.ENVELOPES)
