"""What is derived from a log, kept up with it: caught up before every look, tended in the background, saved now and then.

Saved indexes stand in ``index/<place>-<token>`` and ``index/CURRENT`` names the one to open (in a folder of their own where the
embedder is declared); whatever is odd about them, they are made anew from the log. Retention is enforced at writes, at opening
and whenever this is tended; with it, history goes back ``HISTORY`` places (or as many as there are documents) to twice as many.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from clew.context import saved
from clew.context.derived import Derived
from clew.context.following import built, follow
from clew.context.log.port import NO_BOUNDS, Log

logger = logging.getLogger("clew.context")

SAVE_EVERY = 10_000
"""Versions after which what is derived is saved: no more than these are read again at the next opening."""
_WORTH = 500
"""Versions that are worth saving at the end."""
HISTORY = 10_000
REST_MS = 60_000
"""After a failure, what is derived is left as it is for so long."""
_BUSY_MS = 5_000
_TRIES = 3


class Tended:
    """Used by any number of threads, which take turns: who looks at ``_derived`` holds the lock, and calls ``_follow`` first.

    ``space``: as ``Derived`` has it. ``close`` it.
    """

    def __init__(self, log: Log, folder: Path | None, now: Callable[[], int], space: str) -> None:
        self.log = log
        self._folder, self._now, self._space = folder, now, space
        self._lock = threading.RLock()
        self._tending, self._learning = threading.Lock(), threading.Lock()
        self._tender: threading.Thread | None = None
        self._closing = False
        self._saved = 0
        """The place up to which what is derived was saved."""
        self._resting_until, self._trouble = 0, ""
        if log.bounds != NO_BOUNDS:
            log.trim(now())
        self._derived = self._loaded() or built(log, space)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Saves what is derived where that is worth it; nothing is lost without."""
        with self._lock:
            self._closing = True
        if self._tender is not None:
            self._tender.join()
        try:
            if self._derived.seen - self._saved >= _WORTH:
                self.save()
        finally:
            self.log.close()

    @property
    def folder(self) -> Path | None:
        """Where it is kept; None: nowhere."""
        return self._folder

    def tend(self) -> None:
        """Do now what is done in the background otherwise: learn, clear out the dead, fold, save, forget old history."""
        with self._tending:
            with self._lock:
                self._follow()
            improved = self._learn()
            if self._derived.crowded():
                improved = self._replace() or improved
            self._derived.fold()
            if improved or self._saving_due():
                self.save()
            self._forget()
            if not self._due():
                self._trouble = ""

    def _due(self) -> bool:
        return self._derived.due() or self._saving_due() or self._forgetting_due()

    def _saving_due(self) -> bool:
        return self._folder is not None and self._derived.seen - self._saved >= SAVE_EVERY

    def _forgetting_due(self) -> bool:
        known = self._derived
        return self.log.bounds != NO_BOUNDS and known.seen - known.floor > 2 * self._history()

    def _history(self) -> int:
        """Places that are kept where there is retention."""
        return max(HISTORY, len(self._derived.rows.by_id))

    def save(self) -> None:
        """What is derived, as files; whoever opens the collection next starts from them. One process at a time does it."""
        if self._folder is None:
            return
        try:
            if not self._published(self._folder):
                self._resting_until = self._now() + _BUSY_MS
        except OSError as error:  # a full disk: the log is what counts
            self._rest(f"the index is not saved: {error.strerror or error}")

    def _published(self, folder: Path) -> bool:
        """Searches and writes go on while indexes are folded and files synced; they wait while files are written."""
        self._derived.fold()
        seen = 0

        def write(folder: Path, previous: Path | None) -> None:
            nonlocal seen
            with self._lock:
                self._follow()
                saved.write(self._derived, folder, previous)
                seen = self._derived.seen

        done = saved.publish(saved.base(folder, self._space), str(self._derived.seen), write)
        self._saved = max(self._saved, seen)
        return done

    def _loaded(self) -> Derived | None:
        """What was saved, caught up."""
        if self._folder is None:
            return None
        found = saved.loaded(saved.base(self._folder, self._space), self.log, self._space)
        place = found.seen if found is not None else 0
        if found is None or not follow(found, self.log, self.log.heads()):
            return None
        self._saved = place
        return found

    def _replace(self) -> bool:
        """Without dead rows: as another process saved it meanwhile, or anew; whether the latter. Searches and writes go on."""
        before, sample = self._derived, self._derived.sample
        found = self._loaded()
        anew = found is None or found.crowded()
        fresh = built(self.log, self._space, before) if found is None or anew else found
        with self._lock:
            if self._derived is not before or before.sample != sample or not follow(fresh, self.log, self.log.heads()):
                return False  # another embedder was learned meanwhile, or the log forgot what is needed: another time
            self._derived = fresh
        return anew

    def _anew(self) -> None:
        """The lock is held."""
        self._derived, self._saved = built(self.log, self._space, self._derived), 0

    def _follow(self) -> None:
        """Take in what was written since, here or elsewhere. The lock is held."""
        heads, known = self.log.heads(), self._derived
        if heads != (known.seen, known.attached, known.floor) and not follow(known, self.log, heads):
            self._anew()
        if self._due():
            self._tend_soon()

    def _tend_soon(self) -> None:
        """Tend in the background, unless that is under way or failed just now, or the log is about to be closed."""
        if self._closing or (self._tender is not None and self._tender.is_alive()):
            return
        if self._now() >= self._resting_until:
            self._tender = threading.Thread(target=self._tend_quietly, name="clew-context", daemon=True)
            self._tender.start()

    def _tend_quietly(self) -> None:
        try:
            self.tend()
        except Exception as error:
            self._rest(f"{type(error).__name__}: {error}")

    def _rest(self, why: str) -> None:
        """What is derived cannot be tended: not at every search, and said once."""
        if why != self._trouble:
            logger.warning("what is derived in %s could not be tended: %s", self._folder, why)
        self._trouble, self._resting_until = why, self._now() + REST_MS

    def _learn(self, *, exactly: bool = False) -> bool:
        """Whether something was learned. The lock is held only to take what is ready into use."""
        with self._learning:
            derived = self._derived
            for tries in range(_TRIES):
                if not derived.learning_due(exactly=exactly):
                    return tries > 0
                learned = derived.learned_anew(self._texts)
                with self._lock:
                    derived.adopt(learned, self._texts)
            return True

    def _texts(self, names: Sequence[str]) -> dict[str, str]:
        return {name: version.text for name, version in self.log.get_many(names).items()}

    def _forget(self) -> None:
        """Enforce retention. What is saved must not need what is forgotten."""
        if self.log.bounds == NO_BOUNDS:
            return
        self.log.trim(self._now())
        if self._forgetting_due():
            place = self._derived.seen - self._history()
            if self._saved < place:
                self.save()
            self.log.compact(place, removals=True)
