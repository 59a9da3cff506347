"""Settings: what the surroundings decide. Read here and nowhere else; behaviour lives in manifests."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from clew.core.errors import UsageError
from clew.gate.ports.sandbox import SandboxBackend
from clew.sandbox.default import surroundings

MEMORY = ":memory:"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting, with the environment variable that sets it."""

    state: str = ".clew"
    """CLEW_STATE: where runs are kept; ``:memory:`` keeps them in this process only."""
    user: str = "local"
    """CLEW_USER: on whose behalf runs act."""
    tenant: str = "local"
    """CLEW_TENANT."""
    log_level: str = "warning"
    """CLEW_LOG: debug, info, warning or error."""
    redact_fields: tuple[str, ...] = ()
    """CLEW_REDACT_FIELDS: comma-separated names of fields whose values are never shown, logged or exported in clear."""
    redact_prefixes: tuple[str, ...] = ()
    """CLEW_REDACT_PREFIXES: comma-separated beginnings of tokens that are secrets, besides the well-known ones."""
    otlp: str = ""
    """CLEW_OTLP, else OTEL_EXPORTER_OTLP_ENDPOINT: the collector that traces are sent to (OTLP over HTTP); ``off`` is none."""

    sandbox: str = "native"
    """CLEW_SANDBOX: where untrusted code runs: ``native``, or ``docker``."""
    sandbox_image: str = ""
    """CLEW_SANDBOX_IMAGE: the image of Docker's containers; it has Python 3.11 or newer (python:3.11-slim …)."""
    sandbox_runtime: str = ""
    """CLEW_SANDBOX_RUNTIME: the runtime of Docker's containers, such as runsc; empty is the engine's own."""

    @property
    def directory(self) -> Path | None:
        return None if self.state == MEMORY else Path(self.state)


def read(environ: Mapping[str, str] | None = None, **given: str | None) -> Settings:
    """Settings from the environment, with ``given`` (flags) before it. Raises UsageError for an unknown name or level."""
    environ = os.environ if environ is None else environ
    values: dict[str, str] = {
        field: environ[variable] for field, variable in VARIABLES.items() if environ.get(variable)
    } | {k: v for k, v in given.items() if v is not None}
    unknown = sorted(set(values) - set(VARIABLES))
    if unknown:
        raise UsageError(f"no such setting: {', '.join(unknown)}")
    split = {k: tuple(p.strip() for p in values.pop(k).split(",") if p.strip()) for k in _LISTS if k in values}
    level = values.get("log_level", "warning").lower()
    if level not in ("debug", "info", "warning", "error"):
        raise UsageError(f"CLEW_LOG is {level!r}; it is one of debug, info, warning, error")
    otlp = values.pop("otlp", environ.get(OTLP_ENDPOINT, ""))
    return Settings(**values, **split, otlp="" if otlp == "off" else otlp)  # pyright: ignore[reportArgumentType]


def sandbox_of(settings: Settings) -> SandboxBackend:
    """The surroundings that untrusted code runs in. Raises UsageError for what there is none of."""
    return surroundings(settings.sandbox, settings.sandbox_image, settings.sandbox_runtime)


VARIABLES = {
    "state": "CLEW_STATE",
    "user": "CLEW_USER",
    "tenant": "CLEW_TENANT",
    "log_level": "CLEW_LOG",
    "redact_fields": "CLEW_REDACT_FIELDS",
    "redact_prefixes": "CLEW_REDACT_PREFIXES",
    "otlp": "CLEW_OTLP",
    "sandbox": "CLEW_SANDBOX",
    "sandbox_image": "CLEW_SANDBOX_IMAGE",
    "sandbox_runtime": "CLEW_SANDBOX_RUNTIME",
}
OTLP_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
"""Sets ``otlp`` where CLEW_OTLP does not."""
_LISTS = ("redact_fields", "redact_prefixes")
