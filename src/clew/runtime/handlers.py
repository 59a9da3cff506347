"""Handlers: the project's own functions, found by ``module:function``.

Each project's modules are loaded under a package of their own (``clew_project_<hash>``), from their very source, and import their
siblings from it: so two projects in one process may both have a ``handlers.py`` and a ``util.py``, and neither sees the other's.
"""

import builtins
import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from clew.core.errors import Failure
from clew.core.identity import digest_bytes

Handler = Callable[..., Any]

_PREFIX = "clew_project_"


class Handlers:
    """Loads modules of one project directory first, installed ones else. Each module is executed once per process."""

    def __init__(self, project: Path) -> None:
        self.project = project.resolve()
        self._package = f"{_PREFIX}{digest_bytes(str(self.project).encode())[:12]}"
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
        _finder.serve(self._package, self.project)
        own = source_of(self.project, name.split("."))
        return importlib.import_module(f"{self._package}.{name}" if own else name)


class _Finder(MetaPathFinder):
    """Finds ``clew_project_<hash>`` and everything below it."""

    def __init__(self) -> None:
        self._projects: dict[str, Path] = {}

    def serve(self, package: str, project: Path) -> None:
        self._projects[package] = project
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)  # before the finder of paths, which would load from cached bytecode

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, *parts = fullname.split(".")
        project = self._projects.get(package)
        if project is None:
            return None
        if not parts:
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(project)]
            return spec
        found = source_of(project, parts)
        if found is None:
            return None
        below = [str(found.parent)] if found.name == "__init__.py" else None
        loader = _FromSource(fullname, str(found), package, project)
        return spec_from_file_location(fullname, found, loader=loader, submodule_search_locations=below)


_finder = _Finder()


class _FromSource(SourceFileLoader):
    """Never from a cached ``.pyc`` - what runs is the source whose hash the plan records - and with the project's imports."""

    def __init__(self, fullname: str, path: str, package: str, project: Path) -> None:
        super().__init__(fullname, path)
        self._package, self._project = package, project

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": self._import}
        super().exec_module(module)

    def _import(
        self,
        name: str,
        globals: dict[str, Any] | None = None,  # noqa: A002 - the names of the built-in function
        locals: dict[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """``import util`` is the project's, where it has one and the standard library has not."""
        top = name.partition(".")[0]
        if level or top in sys.stdlib_module_names or source_of(self._project, [top]) is None:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        module = builtins.__import__(f"{self._package}.{name}", globals, locals, fromlist or ("*",))
        return module if fromlist else sys.modules[f"{self._package}.{top}"]


def source_of(project: Path, parts: Sequence[str]) -> Path | None:
    """The file of a project's module; None where it has none of that name."""
    base = project.joinpath(*parts)
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


def is_async(handler: Handler) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None))  # noqa: B004
