"""A workspace that lies in a container: the same calls, made by the agent there."""

import errno
import os
from pathlib import Path
from typing import Any

from clew.core.errors import Failure, UsageError
from clew.gate.beneath import open_regular
from clew.sandbox.docker.channel import Answer, Channel
from clew.sandbox.workspace import Workspace

_WAIT_S = 60.0


class RemoteWorkspace(Workspace):
    """Files below /workspace of a container. A tree is walked here and made there, entry by entry."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(-1, 0, 0)
        self._channel: Channel | None = channel

    def close(self) -> None:
        self._channel = None

    def put(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file. Raises UsageError, Failure(code="workspace_full" or "sandbox_lost")."""
        self._ask({"op": "put", "path": path, "mode": mode}, data)

    def get(self, path: str, limit: int) -> bytes:
        """Read a regular file. Raises NotFound, UsageError, Failure(code="too_large" or "sandbox_lost")."""
        return self._ask({"op": "get", "path": path, "limit": limit}, limit=limit)[1]

    def _make_directory(self, path: str) -> None:
        self._ask({"op": "directory", "path": path})

    def _copy_file(self, host: int, path: str, target: str) -> None:
        try:
            source = open_regular(host, path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM):
                raise Failure(f"cannot copy {path}: {error.strerror}", code="unreadable") from None
            return  # gone or became something else since it was listed
        with os.fdopen(source, "rb") as file:
            self.put(target, file.read(), 0o755 if os.fstat(source).st_mode & 0o100 else 0o644)

    def _copy_link(self, link: Path, target: str, inside: Path) -> None:
        try:
            text = os.readlink(link)  # noqa: PTH115 - as written
            target_of = (link.parent / text).resolve()
            leads_inside = not text.startswith("/") and target_of.is_relative_to(inside) and not target_of.is_symlink()
        except (OSError, RuntimeError):
            return
        if leads_inside:
            self._ask({"op": "link", "path": target, "text": text})

    def _ask(self, header: dict[str, Any], data: bytes = b"", limit: int = 0) -> Answer:
        if self._channel is None:
            raise UsageError("the sandbox is closed")
        try:
            return self._channel.call(header, data, wait_s=_WAIT_S, limit=limit)
        except TimeoutError:
            raise Failure("the container does not answer", code="sandbox_lost") from None
