"""Values against JSON Schemas. A schema is compiled once per process and can fetch nothing."""

from functools import lru_cache
from typing import Any

import jsonschema_rs
import msgspec

from clew.core.errors import Failure

_SHOWN = 10
_MOST = 100
_MESSAGE = 300


class Validator:
    """One compiled schema. Raises Failure("invalid_schema") for what is no usable schema."""

    def __init__(self, schema: Any) -> None:
        self._compiled = _compiled(msgspec.json.encode(schema, order="deterministic"))

    def problems(self, value: Any) -> list[dict[str, str]]:
        """Violations as ``{path, message}``, a hundred at most; a path is ``$.a[0]``."""
        found: list[dict[str, str]] = []
        for error in self._compiled.iter_errors(value):
            found.append({"path": _path(error.instance_path), "message": str(error.message)[:_MESSAGE]})
            if len(found) == _MOST:
                break
        return found

    def check(self, value: Any, *, code: str = "invalid_arguments", what: str = "arguments") -> None:
        """Raises Failure(``code``) listing every violation with its path; ``details`` is ``[{path, message}]``."""
        if self._compiled.is_valid(value):
            return
        problems = self.problems(value)
        raise Failure(f"{what}: {listed(problems)}", code=code, details=problems)


def listed(problems: list[dict[str, str]]) -> str:
    """Violations in one line."""
    shown = "; ".join(f"{problem['path']}: {problem['message']}" for problem in problems[:_SHOWN])
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return shown + more


@lru_cache(maxsize=512)
def _compiled(schema: bytes) -> Any:
    try:
        return jsonschema_rs.validator_for(msgspec.json.decode(schema), retriever=_fetch_nothing)
    except (jsonschema_rs.ValidationError, ValueError) as error:
        raise Failure(f"not a usable JSON Schema: {error}", code="invalid_schema") from None


def _fetch_nothing(uri: str) -> Any:
    raise ValueError(f"the schema refers to {uri}, and nothing is fetched")


def _path(parts: list[str | int]) -> str:
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
