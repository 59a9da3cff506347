"""Clew runs agent workflows in production: durable, replayable, auditable.

This module is the public facade; a test freezes ``__all__``. Names are loaded when they are first used, so that importing
``clew`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from clew._version import __version__

if TYPE_CHECKING:
    from clew.core.errors import ClewError, Failure, ManifestError
    from clew.runtime.ctx import Ctx
    from clew.service.engine import AsyncEngine, Engine, Handle, RunResult

_NAMES = {
    "AsyncEngine": "clew.service.engine",
    "ClewError": "clew.core.errors",
    "Ctx": "clew.runtime.ctx",
    "Engine": "clew.service.engine",
    "Failure": "clew.core.errors",
    "Handle": "clew.service.engine",
    "ManifestError": "clew.core.errors",
    "RunResult": "clew.service.engine",
}

__all__ = [
    "AsyncEngine",
    "ClewError",
    "Ctx",
    "Engine",
    "Failure",
    "Handle",
    "ManifestError",
    "RunResult",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'clew' has no attribute {name!r}")
    return getattr(import_module(_NAMES[name]), name)
