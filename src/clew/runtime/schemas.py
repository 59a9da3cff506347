"""Values against the plan's JSON Schemas. Compiled once per plan; a schema can fetch nothing."""

from typing import Any

import jsonschema_rs

from clew.core.errors import Failure

MAX_SHOWN = 10


class _Nothing:
    def __call__(self, uri: str) -> Any:
        raise ValueError(f"schema refers to {uri}, which is not part of the project")


class Schemas:
    """Validators by schema name."""

    def __init__(self, schemas: dict[str, Any]) -> None:
        self._schemas = schemas
        self._compiled: dict[str, Any] = {}

    def check(self, name: str, value: Any, *, code: str, what: str) -> None:
        """Raises Failure(``code``) that lists every violation with its path (``details``: ``[{path, message}]``)."""
        problems = validate(self._validator(name), value)
        if problems:
            shown = "; ".join(f"{p['path']}: {p['message']}" for p in problems[:MAX_SHOWN])
            more = f" (and {len(problems) - MAX_SHOWN} more)" if len(problems) > MAX_SHOWN else ""
            raise Failure(f"{what} does not fit schema {name}: {shown}{more}", code=code, details=problems)

    def _validator(self, name: str) -> Any:
        if name not in self._compiled:
            self._compiled[name] = compile_schema(self._schemas[name])
        return self._compiled[name]


def compile_schema(schema: Any) -> Any:
    """Raises Failure(invalid_schema)."""
    try:
        return jsonschema_rs.validator_for(schema, retriever=_Nothing())
    except (jsonschema_rs.ValidationError, ValueError) as error:
        raise Failure(f"not a usable JSON Schema: {error}", code="invalid_schema") from None


def validate(validator: Any, value: Any) -> list[dict[str, str]]:
    """Every violation as ``{path, message}``; path is ``$.a[0]``."""
    return [{"path": _path(e.instance_path), "message": str(e.message)} for e in validator.iter_errors(value)]


def _path(parts: list[str | int]) -> str:
    return "$" + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in parts)
