"""Where an MCP server is and what it is given, from the manifest; secrets are looked up when they are needed."""

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from clew.core.errors import Failure
from clew.gate.ports.secrets import Secrets


class Launch:
    """``server``: the plan's ``{command, env, credential, credential_env}`` or ``{url, credential}``."""

    def __init__(self, server: Mapping[str, Any], directory: Path, secrets: Secrets) -> None:
        self.command: tuple[str, ...] = tuple(server.get("command") or ())
        self.url: str | None = server.get("url")
        self.directory = directory
        self._env: Mapping[str, str] = server.get("env") or {}
        self._credential: str | None = server.get("credential")
        self._variable: str | None = server.get("credential_env")
        self._secrets = secrets

    def environment(self) -> dict[str, str]:
        """What is declared, and nothing else. Raises Failure(``no_credential``)."""
        given = dict(self._env)
        if self._credential is not None and self._variable is not None:
            given[self._variable] = self._secrets.value(self._credential)
        return given

    def check(self) -> None:
        """Raises Failure(``no_credential``) before anything is started."""
        self.environment()
        if self.secret is not None:
            self.secret()

    @property
    def secret(self) -> "_Secret | None":
        """What gives the credential for one HTTP request."""
        if self._credential is None or self.url is None:
            return None
        return _Secret(self._secrets, self._credential, self.url)


class _Secret:
    def __init__(self, secrets: Secrets, credential: str, url: str) -> None:
        self._secrets, self._credential = secrets, credential
        self._open = urlsplit(url).scheme != "https" and not _loopback(urlsplit(url).hostname or "")

    def __call__(self) -> str:
        if self._open:
            raise Failure(
                f"credential {self._credential!r} is not sent unencrypted", code="no_credential", hint="use https"
            )
        return self._secrets.value(self._credential)


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def key_of(server: Mapping[str, Any]) -> bytes:
    """The same for entries that mean the same server."""
    return msgspec.json.encode(dict(server), order="deterministic")
