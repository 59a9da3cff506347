"""What travels between the engine and a supervisor: length, JSON, then the raw bytes of the streams."""

import struct
from typing import Any

import msgspec

from clew.core.errors import UsageError
from clew.gate.ports.sandbox import ExecRequest, ExecResult

_LENGTH = struct.Struct("!I")


def encode(request: ExecRequest, *, probe: bool) -> bytes:
    """Raises UsageError when the request makes no sense."""
    if not request.argv or not request.argv[0]:
        raise UsageError("argv must name a command")
    for text in (*request.argv, request.cwd, *request.env, *request.env.values()):
        if "\0" in text:
            raise UsageError(f"{text!r} holds a NUL byte")
    if any("=" in name or not name for name in request.env):
        raise UsageError("names of environment variables must not be empty or hold '='")
    if request.wall_s is not None and request.wall_s <= 0:
        raise UsageError("wall_s must be greater than 0")
    header = msgspec.json.encode(
        {
            "argv": request.argv,
            "cwd": request.cwd,
            "env": request.env,
            "wall_s": request.wall_s,
            "stdin": len(request.stdin),
            "probe": probe,
            "preloaded": request.preloaded,
        }
    )
    return _LENGTH.pack(len(header)) + header + request.stdin


def decode(answer: bytes, argv: tuple[str, ...]) -> ExecResult:
    """What the supervisor said; INTERNAL_ERROR when it said nothing."""
    if len(answer) < _LENGTH.size:
        return ExecResult(status="INTERNAL_ERROR", rc=None, reason="the supervisor ended without an answer", cmd=argv)
    start = _LENGTH.size + _LENGTH.unpack_from(answer)[0]
    fields: dict[str, Any] = msgspec.json.decode(answer[_LENGTH.size : start])
    middle = start + fields.pop("stdout")
    end = middle + fields.pop("stderr")
    return ExecResult(**fields, stdout=answer[start:middle], stderr=answer[middle:end], cmd=argv)
