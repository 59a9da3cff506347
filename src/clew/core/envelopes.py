"""Task envelopes: how work is handed to an agent, and how the agent answers (requirement W12). Data only.

Read leniently: unknown fields are passed over, missing optional ones have their defaults, ``null`` counts as missing, other
spellings of a name (``parent_id``, ``TimeoutMS``, ``agentId``) and numbers in text are understood. Written strictly: every name in
its one spelling, every value of its type, and what is read back is exactly what was written.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

import msgspec

from clew.core.errors import UsageError
from clew.core.identity import digest

PROTOCOL = 1

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class _Part(msgspec.Struct, frozen=True, rename="camel"):
    pass


class Constraints(_Part, frozen=True, kw_only=True):
    """``timeout_ms``: how long the work may take, from when it is begun. ``deterministic``: chance comes from a fixed seed.
    ``idempotency_key``: work under the same key, of the same tenant, is done once."""

    timeout_ms: Annotated[int, msgspec.Meta(ge=1)] | None = None
    deterministic: bool = True
    idempotency_key: Annotated[str, msgspec.Meta(max_length=256)] | None = None


class AgentTask(_Part, frozen=True, kw_only=True):
    """Work for an agent. ``parent_id``: the task that this one came out of."""

    type: Literal["AgentTask"] = "AgentTask"
    id: Name
    parent_id: Name | None = None
    agent: Name
    payload: Any = None
    constraints: Constraints = Constraints()
    protocol_version: Literal[1] = PROTOCOL


class Doc(_Part, frozen=True, kw_only=True):
    """A document that was made or changed."""

    id: str = ""
    type: str = ""
    path: str = ""
    content: str = ""
    metadata: dict[str, Any] = {}


class Delta(_Part, frozen=True, kw_only=True):
    """What the work changed: a whole document, a unified diff, or words."""

    doc: Doc | None = None
    diff: str = ""
    summary: str = ""


class NewTask(_Part, frozen=True, kw_only=True):
    """Work that the agent asks for: a task of its own, never part of this result."""

    agent: Name
    payload: Any = None


class ResultPayload(_Part, frozen=True, kw_only=True):
    delta: Delta = Delta()
    artifacts: list[Any] = []
    new_tasks: list[NewTask] = []


class Metrics(_Part, frozen=True, kw_only=True):
    """Tokens in and out of models, and milliseconds from beginning to end."""

    tokens_used: Count = 0
    time_ms: Count = 0


class AgentResult(_Part, frozen=True, kw_only=True):
    """The work was done. ``id``: the run that did it; ``parent_id``: the task that it answers."""

    type: Literal["AgentResult"] = "AgentResult"
    id: Name
    parent_id: Name
    agent: Name
    payload: ResultPayload = ResultPayload()
    metrics: Metrics = Metrics()
    protocol_version: Literal[1] = PROTOCOL


class TaskError(_Part, frozen=True, kw_only=True):
    """``code`` is stable and may be relied upon."""

    code: Name
    message: str = ""
    details: Any = None


class AgentError(_Part, frozen=True, kw_only=True):
    """The work was not done. ``id``: the run that was to do it; ``parent_id``: the task that it answers."""

    type: Literal["AgentError"] = "AgentError"
    id: Name
    parent_id: Name
    agent: Name
    error: TaskError
    protocol_version: Literal[1] = PROTOCOL


Envelope = AgentTask | AgentResult | AgentError
ENVELOPES: dict[str, type[Envelope]] = {"AgentTask": AgentTask, "AgentResult": AgentResult, "AgentError": AgentError}

_OLD = {"agentid": "agent", "agentname": "agent", "taskid": "id", "input": "payload", "inputs": "payload"}
"""Names of earlier engines, folded -> the name that is written."""
_INSIDE: dict[type, dict[str, type]] = {
    AgentTask: {"constraints": Constraints},
    AgentResult: {"payload": ResultPayload, "metrics": Metrics},
    AgentError: {"error": TaskError},
    ResultPayload: {"delta": Delta, "newTasks": NewTask},
    Delta: {"doc": Doc},
}
_TEXT = ("id", "parentId", "code")
_OPTIONAL = ("parentId", "timeoutMs", "idempotencyKey", "doc", "details")
"""Left out when there is none."""


def read(data: bytes | str) -> Envelope:
    """The envelope in a JSON text. Raises UsageError(bad_envelope)."""
    try:
        raw: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _bad(f"no JSON: {error}") from None
    return understand(raw)


def understand(raw: Any, default: str = "AgentTask") -> Envelope:
    """The envelope in a JSON value; ``default``: its type where it does not say one. Raises UsageError(bad_envelope)."""
    if not isinstance(raw, Mapping):
        raise _bad(f"an envelope is a JSON object, not {_kind(raw)}")
    given = cast("Mapping[str, Any]", raw)
    said = next((v for k, v in given.items() if _folded(k) == "type" and v is not None), default)
    model = next((m for name, m in ENVELOPES.items() if _folded(said) in (_folded(name), _folded(name)[5:])), None)
    if model is None:
        raise _bad(f"type is {str(said)[:80]!r}; it is one of {', '.join(ENVELOPES)}")
    plain = {**_normal(given, model), "type": model.__name__}
    version: Any = plain.get("protocolVersion", PROTOCOL)
    if isinstance(version, bool) or str(version).strip() not in ("1", "1.0"):
        raise _bad(f"protocolVersion is {str(version)[:80]!r}; this engine speaks {PROTOCOL}")
    plain["protocolVersion"] = PROTOCOL
    try:
        if model is AgentTask and "id" not in plain:
            plain["id"] = f"t{digest(plain)[:12]}"
        return msgspec.convert(plain, model, strict=False)
    except (msgspec.ValidationError, RecursionError, OverflowError, UnicodeError) as error:
        raise _bad(str(error)) from None


def task_of(raw: Any) -> AgentTask:
    """As ``understand``, and it is a task; one without an id is given one, derived from its content."""
    found = understand(raw)
    if not isinstance(found, AgentTask):
        raise _bad(f"this is an {type(found).__name__}, no AgentTask")
    return found


def result_payload(raw: Mapping[str, Any]) -> ResultPayload:
    """The payload of a result. Raises UsageError(bad_envelope)."""
    try:
        return msgspec.convert(_normal(raw, ResultPayload), ResultPayload, strict=False)
    except (msgspec.ValidationError, RecursionError, OverflowError, UnicodeError) as error:
        raise _bad(str(error)) from None


def write(envelope: Envelope) -> bytes:
    """One line of JSON, without its end. Raises UsageError(bad_envelope) for what is not as the schema says."""
    try:
        plain = _without_none(msgspec.to_builtins(envelope))
        msgspec.convert(plain, type(envelope))
        line = msgspec.json.encode(plain)
        same = msgspec.json.decode(line) == plain
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError, OverflowError) as error:
        raise _bad(f"cannot be written: {error}") from None
    if not same:
        raise _bad("cannot be written: it holds values that JSON has no words for")
    return line


def schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema (draft 2020-12) of every envelope, by its type."""
    found: dict[str, dict[str, Any]] = {}
    for name, model in ENVELOPES.items():
        (_,), definitions = msgspec.json.schema_components((model,), ref_template="#/$defs/{name}")
        whole = definitions.pop(name)
        whole["required"] = ["type", *whole["required"], "protocolVersion"]
        head = {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole}
        found[name] = {**head, "$defs": dict(sorted(definitions.items()))}
    return found


def _normal(raw: Mapping[str, Any], model: type) -> dict[str, Any]:
    """The fields of ``model`` that are given, under their names, at every depth; the exact spelling wins over others."""
    fields = {_folded(name): name for name in _names(model)}
    found: dict[str, Any] = {}
    for key, value in sorted(raw.items(), key=lambda item: item[0] in fields.values()):
        name = fields.get(_folded(key)) or fields.get(_folded(_OLD.get(_folded(key), "")))
        if name is None or value is None:
            continue
        if name in _TEXT and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        inner = _INSIDE.get(model, {}).get(name)
        found[name] = value if inner is None else _inside(value, inner)
    return found


def _inside(value: Any, model: type) -> Any:
    if isinstance(value, Mapping):
        return _normal(cast("Mapping[str, Any]", value), model)
    if isinstance(value, list) and model is NewTask:
        return [_inside(one, model) for one in cast("list[Any]", value)]
    return cast("object", value)


def _names(model: type) -> tuple[str, ...]:
    return tuple(field.encode_name for field in msgspec.structs.fields(model))


def _folded(name: object) -> str:
    return "".join(c for c in str(name) if c.isalnum()).lower()


def _without_none(plain: Any) -> Any:
    """Optional fields of the envelope itself that have no value; what payloads hold is not looked at."""
    for part in (plain, plain.get("constraints"), plain.get("error"), _delta(plain)):
        for name in _OPTIONAL:
            if isinstance(part, dict) and cast("dict[str, Any]", part).get(name, "") is None:
                del part[name]
    return plain


def _delta(plain: dict[str, Any]) -> Any:
    return plain["payload"].get("delta") if plain["type"] == "AgentResult" else None


def _kind(raw: object) -> str:
    return "null" if raw is None else "a list" if isinstance(raw, list) else type(raw).__name__


def _bad(message: str) -> UsageError:
    return UsageError(message, code="bad_envelope", hint="clew schema AgentTask shows the form")
