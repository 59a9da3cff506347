"""What is recorded of an execution, by every tool that runs code: its limits, what held them, how it ended, what it used."""

from typing import Any

from clew.gate.ports.sandbox import ExecResult, Profile

_LIMITS = ("wall_s", "cpu_s", "memory", "processes", "open_files", "file_size", "workspace", "output")


def record(profile: Profile, result: ExecResult) -> dict[str, Any]:
    """Sizes in bytes, times as the names say."""
    return {
        "status": result.status,
        "rc": result.rc,
        "reason": result.reason,
        "stdout_dropped": result.stdout_dropped,
        "stderr_dropped": result.stderr_dropped,
        "duration_ms": result.duration_ms,
        "cpu_ms": result.cpu_ms,
        "max_rss": result.max_rss,
        "limits": {name: getattr(profile, name) for name in _LIMITS},
        "enforced": result.enforced,
    }


RECORD: dict[str, Any] = {
    "status": {"enum": ["OK", "TIMEOUT", "CPU_LIMIT", "MEM_LIMIT", "KILLED", "DENIED"]},
    "rc": {"type": ["integer", "null"], "description": "Exit code; 0 is success"},
    "reason": {"type": "string"},
    "stdout_dropped": {"type": "integer", "description": "Bytes beyond what is kept"},
    "stderr_dropped": {"type": "integer"},
    "duration_ms": {"type": "integer"},
    "cpu_ms": {"type": "integer"},
    "max_rss": {"type": "integer", "description": "Bytes"},
    "limits": {"type": "object", "additionalProperties": {"type": "number"}},
    "enforced": {"type": "object", "additionalProperties": {"type": "string"}},
}
"""JSON Schemas of what ``record`` returns, all of which is always there."""
