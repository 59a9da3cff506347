"""Every error of Clew, in one tree.

ClewError                      has a stable ``code``; its message says where, what and how to mend it
├── UsageError                 the caller's: wrong argument, unknown id, wrong state (exit code 2)
│   ├── ManifestError          problems in a project's manifests, all of them at once
│   ├── NotFound               no such run, node, event, tool …
│   └── Conflict               the thing is not in a state that allows this, or somebody else holds it
├── Failure                    how a node fails; becomes ``{code, message, details}`` in the journal
├── IntegrityError             the record and the present do not agree
│   ├── NonDeterminism         a body asked for something else than it did when it was recorded
│   ├── Tampered               chain, ledger or payload do not match their digests
│   └── Erased                 the payload that is needed was erased
├── JournalError               the journal cannot take or give events (disk full, locked, newer schema)
└── IllegalMove                a fact that the state tables have no cell for; nothing has changed

Interrupt (BaseException)      control flow; user code cannot swallow it by ``except Exception``
├── Suspended                  the body waits durably: it is unloaded and entered again on the answer
└── Stopped                    the body's gate is shut (time-out, cancel, crash of the journal)
"""

from typing import Any


class ClewError(Exception):
    """Base of all errors; ``code`` is stable and may be relied upon."""

    code = "error"

    def __init__(self, message: str, *, code: str | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(ClewError):
    code = "usage"


class ManifestError(UsageError):
    """``problems``: every problem found, in file order; ``str()`` is the whole report."""

    code = "manifest"

    def __init__(self, problems: list[Any]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = problems


class NotFound(UsageError):
    code = "not_found"


class Conflict(UsageError):
    code = "conflict"


class Failure(ClewError):
    """Raised by handlers, drivers and the engine to fail a node; ``details`` is JSON."""

    code = "failed"

    def __init__(self, message: str, *, code: str | None = None, details: Any = None, hint: str = "") -> None:
        super().__init__(message, code=code, hint=hint)
        self.details = details


class IntegrityError(ClewError):
    code = "integrity"


class NonDeterminism(IntegrityError):
    code = "non_determinism"


class Tampered(IntegrityError):
    code = "tampered"


class Erased(IntegrityError):
    code = "erased"


class JournalError(ClewError):
    code = "journal"


class IllegalMove(ClewError):
    code = "illegal_move"


def described(error: BaseException) -> str:
    """``Type: message``, whatever the error's own ``__str__`` does."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__


class Interrupt(BaseException):
    """Control flow between the engine and a body. Never raised to a caller."""


class Suspended(Interrupt):
    pass


class Stopped(Interrupt):
    pass
