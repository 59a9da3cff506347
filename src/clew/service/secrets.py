"""Secrets of a project: the credentials that its manifests name, looked up in the environment and in files, as late as possible.

Manifests say where a secret is, never what it is. A file must be the user's own (or root's) and readable by nobody else.
"""

import logging
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from clew.core.errors import Failure
from clew.manifest.compiled import Plan
from clew.manifest.problems import Problems
from clew.manifest.read import read
from clew.policies.redact import Redactor, maskable

logger = logging.getLogger("clew.secrets")

FILE_LIMIT = 64 * 1024
"""Bytes of a file with secrets."""
VALUE_LIMIT = 8 * 1024
"""Characters of a secret: what servers take in a header."""
_ROOT = 0
_OTHERS = 0o077

_Stamp = tuple[int, ...]


class ProjectSecrets:
    """Implements ``gate.ports.secrets.Secrets`` for the ``provider_credentials`` of a plan.

    ``directory``: of the project; paths of files are relative to it. What was looked up once is masked as long as this object
    lives, also after the secret was changed.
    """

    def __init__(self, plan: Plan, directory: Path) -> None:
        sections: Sequence[dict[str, Any]] = plan.sections.get("provider_credentials", ())
        self._auth: dict[str, dict[str, Any]] = {section["id"]: section["auth"] for section in sections}
        self._directory = directory
        self._seen: dict[str, None] = {}
        self._known: tuple[str, ...] = ()
        self._files: dict[str, tuple[_Stamp, str]] = {}
        self._warned: set[str] = set()

    def __repr__(self) -> str:
        return f"ProjectSecrets({', '.join(self._auth)})"

    def value(self, credential: str) -> str:
        """See the port."""
        auth = self._auth.get(credential)
        if auth is None:
            known = ", ".join(self._auth) or "none"
            raise _missing(f"no credential {credential!r}; the project declares {known}", "see provider_credentials")
        return (
            self._from_environment(credential, auth) if auth["source"] == "env" else self._from_file(credential, auth)
        )

    def known(self) -> tuple[str, ...]:
        """See the port. The same object as before where nothing is new."""
        for credential in self._auth:
            try:
                self.value(credential)
            except Failure:
                continue
        if len(self._known) != len(self._seen):
            self._known = tuple(self._seen)
        return self._known

    def _from_environment(self, credential: str, auth: dict[str, Any]) -> str:
        name = auth["env_var"]
        return self._checked(
            credential, f"the environment variable {name}", os.environ.get(name, ""), f"export {name}=…"
        )

    def _from_file(self, credential: str, auth: dict[str, Any]) -> str:
        key: str | None = auth.get("file_key")
        try:
            path = self._directory / Path(auth["file_path"]).expanduser()
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe must not hold us up
            try:
                found = os.fstat(descriptor)  # of what was opened: behind a link, its target counts
                _check_owner(credential, path, found)
                stamp = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)
                kept = self._files.get(credential)
                if kept is None or kept[0] != stamp:
                    data = os.read(descriptor, FILE_LIMIT + 1)
                    kept = self._files[credential] = stamp, _text(credential, path, data, key)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _missing(f"credential {credential}: {auth['file_path']} cannot be read: {error.strerror}") from None
        except (ValueError, RuntimeError):  # a NUL in it, nobody's home
            raise _missing(f"credential {credential}: {auth['file_path']!r} is no file") from None
        value = self._checked(credential, f"{path} at {key!r}" if key else str(path), kept[1])
        if found.st_mode & _OTHERS:
            raise _missing(f"credential {credential}: {path} is open to others", f"chmod 600 {path}")
        return value

    def _checked(self, credential: str, where: str, text: str, hint: str = "") -> str:
        """Without the white space around it; what cannot be sent in a header is refused, for clients quote it in their errors.

        What is refused is masked all the same.
        """
        value = text.strip()
        if not value:
            raise _missing(f"credential {credential}: {where} is not set or empty", hint)
        if len(value) > VALUE_LIMIT:
            raise _missing(f"credential {credential}: {where} has more than {VALUE_LIMIT:,} characters")
        self._learn(credential, value)
        if not value.isascii() or not value.isprintable():
            raise _missing(
                f"credential {credential}: {where} is not one line of plain ASCII characters",
                "file_key names the key in a JSON or YAML file",
            )
        return value

    def _learn(self, credential: str, value: str) -> None:
        if maskable(value):
            self._seen.setdefault(value)
        elif credential not in self._warned:
            self._warned.add(credential)
            logger.warning(
                "credential %s is too short, or a plain word: it is not masked where it is shown", credential
            )


class Learned:
    """The secrets of every project that was opened, and the redactor that masks them all."""

    def __init__(self, fields: Sequence[str] = (), prefixes: Sequence[str] = ()) -> None:
        self._fields, self._prefixes = fields, prefixes
        self._projects: dict[tuple[Path, str], ProjectSecrets] = {}
        self._values: dict[str, None] = {}
        self._redactor = Redactor(fields=fields, prefixes=prefixes)

    def of(self, plan: Plan, directory: Path) -> ProjectSecrets:
        """Those of one project; from now on they are masked."""
        key = directory, repr(plan.sections.get("provider_credentials", ()))
        if key not in self._projects:
            self._projects[key] = ProjectSecrets(plan, directory)
        return self._projects[key]

    @property
    def redactor(self) -> Redactor:
        """One that knows every secret that is known now."""
        before = len(self._values)
        for project in self._projects.values():
            self._values |= dict.fromkeys(project.known())
        if len(self._values) > before:
            self._redactor = Redactor(fields=self._fields, prefixes=self._prefixes, values=tuple(self._values))
        return self._redactor


def _check_owner(credential: str, path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _missing(f"credential {credential}: {path} is not a regular file")
    if found.st_uid not in (os.geteuid(), _ROOT):
        raise _missing(f"credential {credential}: {path} belongs to another user", f"chown {os.geteuid()} {path}")


def _text(credential: str, path: Path, data: bytes, key: str | None) -> str:
    """All of a file, or what stands in it under a dotted key. What is wrong is not quoted: it may be the secret."""
    if len(data) > FILE_LIMIT:
        raise _missing(f"credential {credential}: {path} has more than {FILE_LIMIT // 1024} KiB")
    if key is None:
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise _missing(f"credential {credential}: {path} is not UTF-8 text") from None
    problems = Problems()
    located = read(data, path.name, (), problems)
    if located is None or problems:
        raise _missing(f"credential {credential}: {path} cannot be read as JSON or YAML")
    value = located.plain()
    for part in key.split("."):
        value = cast("Mapping[str, Any]", value).get(part) if isinstance(value, Mapping) else None
    if value is None:
        raise _missing(f"credential {credential}: {path} has no key {key!r}")
    if not isinstance(value, str):
        raise _missing(f"credential {credential}: {key!r} in {path} is no text", "put it in quotes")
    return value


def _missing(message: str, hint: str = "") -> Failure:
    return Failure(message, code="no_credential", hint=hint)
