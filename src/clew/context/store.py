"""The collections of one state directory and tenant, opened when they are asked for."""

import logging
import tempfile
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath

import msgspec
from msgspec import structs

from clew.context.collection import Collection
from clew.context.embed.port import Embedder
from clew.context.log.files import explained
from clew.context.log.jsonl import JsonlLog
from clew.context.log.port import NO_BOUNDS, Bounds, Log, bounds_of
from clew.context.log.sqlite import SqliteLog
from clew.context.scopes import KINDS, Kind, Scope, of_folder, parse, tenant_folder
from clew.context.turns import HEIR
from clew.core.errors import NotFound, UsageError
from clew.manifest.models.agents import Memory

logger = logging.getLogger("clew.context")
_FOLDER = "context"
MOST_OPEN = 64
"""Collections that are open at once; of more, those that nobody uses are closed, the one used longest ago first."""


class Keeping(msgspec.Struct, frozen=True):
    """How collections of one kind of scope are kept. ``path``: their folder below the state directory."""

    backend: str = "sqlite"
    bounds: Bounds = NO_BOUNDS
    path: str = _FOLDER


def keeping_of(memory: Memory | None) -> dict[Kind, Keeping]:
    """As the manifest's memory section has it. Raises UsageError for a backend that is not here."""
    kinds: dict[Kind, Keeping] = {}
    if memory is None:
        return kinds
    stores = {
        "global": memory.global_store, "project": memory.project_store, "session": memory.session_store, "task": memory.task_store,
    }  # fmt: skip
    for kind, store in stores.items():
        if store is None:
            continue
        if store.backend not in _LOGS:
            known = ", ".join(_LOGS)
            raise UsageError(f"memory.{kind}_store: backend {store.backend!r} is not available (there are: {known})")
        path = store.path or _FOLDER
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise UsageError(f"memory.{kind}_store: path {path!r} is not below the state directory")
        kinds[kind] = Keeping(store.backend, bounds_of(store.retention), path)  # pyright: ignore[reportArgumentType]
    return kinds


_PLAIN = Keeping()
_OTHER_BACKEND = "%s stays with backend %s, though %s is declared: to change it, move that folder away and import anew"


class _Slot:
    """A scope's collection, or the room for it. ``users`` is counted under the store's lock; ``lock`` is held to open or close."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.collection: Collection | None = None
        self.users = 0


class ContextStore:
    """``close`` it. ``root``: the state directory; None keeps everything in a temporary one."""

    def __init__(
        self, root: Path | None, tenant: str, *, now: Callable[[], int],
        keeping: Mapping[Kind, Keeping] | None = None, embedder: Embedder | None = None, space: str = "",
    ) -> None:  # fmt: skip
        self._closing = ExitStack()
        if root is None:
            root = Path(self._closing.enter_context(tempfile.TemporaryDirectory(prefix="clew-context-")))
        self._root, self._tenant = root, tenant_folder(tenant)
        self._now, self._keeping = now, dict(keeping or {})
        self._embedder, self._space = embedder, space
        self._slots: dict[str, _Slot] = {}
        """The one that was used last is the last one."""
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock, ExitStack() as stack:
            stack.push(self._closing)
            for slot in self._slots.values():
                if slot.collection is not None:
                    stack.callback(slot.collection.close)
            self._slots.clear()

    @contextmanager
    def using(self, scope: str, *, create: bool = True) -> Generator[Collection]:
        """A scope's collection, open while it is used and shared by all who use it.

        Raises UsageError for what is no scope; NotFound where nothing was ever written to it and ``create`` is off; JournalError.
        """
        parsed = parse(scope)
        with self._lock:
            slot = self._slots.pop(scope, None) or _Slot()
            self._slots[scope] = slot
            slot.users += 1
        try:
            with slot.lock:
                collection = slot.collection = slot.collection or self._opened(parsed, create=create)
            self._close_idle()
            yield collection
        finally:
            self._let_go(scope, slot)

    def _opened(self, scope: Scope, *, create: bool) -> Collection:
        folder = self._base(scope.kind) / scope.folder
        log = self._log(folder, scope.kind, str(scope), create=create)
        try:
            return Collection(log, folder, now=self._now, embedder=self._embedder, space=self._space)
        except BaseException:
            log.close()
            raise

    def _close_idle(self) -> None:
        """Whoever wants one that is being closed waits for that alone, and opens it again."""
        with self._lock:
            idle = [(name, slot) for name, slot in self._slots.items() if not slot.users]
            idle = idle[: max(0, len(self._slots) - MOST_OPEN)]
            for _, slot in idle:
                slot.users += 1
        for name, slot in idle:
            try:
                with slot.lock:
                    closing = slot.collection if slot.users == 1 else None
                    if closing is not None:
                        slot.collection = None
                        closing.close()
            finally:
                self._let_go(name, slot)

    def _let_go(self, name: str, slot: _Slot) -> None:
        with self._lock:
            slot.users -= 1
            if not slot.users and slot.collection is None:  # closed, or never opened
                self._slots.pop(name, None)

    def scopes(self) -> list[str]:
        """Those that have ever been written to. Raises JournalError."""
        names: set[str] = set()
        for base in {self._base(kind) for kind in KINDS}:
            with explained(base):
                names |= {path.name for path in base.iterdir()} if base.is_dir() else set()
        return sorted(str(scope) for name in names if (scope := of_folder(name)) is not None)

    def _base(self, kind: Kind) -> Path:
        return self._root / self._keeping.get(kind, _PLAIN).path / self._tenant

    def _log(self, folder: Path, kind: Kind, scope: str, *, create: bool) -> Log:
        keeping = self._keeping.get(kind, _PLAIN)
        with explained(folder):
            there = [backend for backend, (name, _) in _LOGS.items() if (folder / name).exists()]
        if not there and not create:
            raise NotFound(
                f"nothing is kept in {scope}, which would be in {folder.absolute()}",
                hint="`clew context add` and `clew context import` write to it; --state and --project say where else to look",
            )
        if there and there[0] != keeping.backend:  # what is there is the truth, whatever is declared by now
            if kind in self._keeping:
                logger.warning(_OTHER_BACKEND, folder.absolute(), there[0], keeping.backend)
            keeping = Keeping(there[0], keeping.bounds)
        name, opened = _LOGS[keeping.backend]
        bounds = keeping.bounds
        if kind == "session" and bounds != NO_BOUNDS:
            bounds = structs.replace(bounds, heir=HEIR)
        return opened(folder / name, bounds)


_LOGS: dict[str, tuple[str, Callable[[Path, Bounds], Log]]] = {
    SqliteLog.backend: ("truth.db", SqliteLog.open),
    JsonlLog.backend: ("truth.jsonl", JsonlLog.open),
}
"""Backend -> name of its file, and how it is opened."""
