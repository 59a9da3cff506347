"""Handlers: the project's own functions, found by ``module:function``."""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from clew.core.errors import Failure
from clew.core.identity import digest_bytes

Handler = Callable[..., Any]


class Handlers:
    """Loads modules of one project directory first, installed ones else. Each module is executed once per engine.

    A project's modules are loaded under a name of their own, so that two projects may both have a ``handlers.py``; they can
    import their siblings, which lie on ``sys.path`` behind everything installed.
    """

    def __init__(self, project: Path) -> None:
        self.project = project.resolve()
        self._alias = f"clew_project_{digest_bytes(str(self.project).encode())[:12]}"
        self._found: dict[str, tuple[Handler, bool]] = {}

    def get(self, reference: str) -> tuple[Handler, bool]:
        """The function, and whether it is asynchronous.

        Raises Failure(handler) when the module or function cannot be loaded; says what happened and where.
        """
        if reference not in self._found:
            handler = self._load(reference)
            self._found[reference] = handler, is_async(handler)
        return self._found[reference]

    def _load(self, reference: str) -> Handler:
        name, _, function = reference.partition(":")
        try:
            module = self._module(name)
        except Exception as error:
            raise Failure(
                f"handler {reference!r}: loading {name!r}: {type(error).__name__}: {error}", code="handler"
            ) from error
        handler = getattr(module, function, None)
        if not callable(handler):
            raise Failure(f"handler {reference!r}: {name!r} has no function {function!r}", code="handler")
        return handler

    def _module(self, name: str) -> ModuleType:
        base = self.project.joinpath(*name.split("."))
        path = next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)
        if path is None:
            return importlib.import_module(name)
        if str(self.project) not in sys.path:
            sys.path.append(str(self.project))
        alias = f"{self._alias}.{name}"
        if alias in sys.modules:
            return sys.modules[alias]
        loader = _FromSource(alias, str(path))
        spec = importlib.util.spec_from_file_location(alias, path, loader=loader)
        if spec is None:
            raise ImportError(f"{path} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[alias] = module
        try:
            loader.exec_module(module)
        except BaseException:
            del sys.modules[alias]
            raise
        return module


class _FromSource(SourceFileLoader):
    """Never from a cached ``.pyc``: what runs is the very source whose hash the plan records."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def is_async(handler: Handler) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None))  # noqa: B004
