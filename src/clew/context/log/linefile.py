"""The file of the JSONL log: read on where it has grown, appended to, written anew by compaction. Its caller holds the lock."""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import structs

from clew.context.log.files import explained, sync_folder
from clew.context.log.lines import SCHEMA, Brief, Head, Line, decode, decode_brief, encode, is_cut, is_whole, lines_from
from clew.context.log.places import Places, Span
from clew.core.errors import JournalError

_FIRST = b'{"type":"context log"'
_CLOSED = -1


class LineFile:
    """``places``: what the file held when it was last read on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = _CLOSED
        self._inode = _CLOSED
        self._forget()

    def _forget(self) -> None:
        self.places = Places()
        self._offset = self._lines = 0

    def close(self) -> None:
        if self._handle != _CLOSED:
            os.close(self._handle)
        self._handle = self._inode = _CLOSED

    def has_changed(self) -> bool:
        """Whether others have written to the file or replaced it since; true while an unfinished write stands at its end."""
        found = self._path.stat()
        return found.st_ino != self._inode or found.st_size != self._offset

    def refresh(self) -> None:
        """Read what is new, and make it durable before anybody relies on it. Raises JournalError, OSError."""
        if self._path.stat().st_ino != self._inode:
            self.close()
            self._handle = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            self._inode = os.fstat(self._handle).st_ino
            self._forget()
        size = os.fstat(self._handle).st_size
        if size < self._offset:
            raise JournalError(
                f"context log {self._path} ends at byte {size}, and was read up to byte {self._offset} before",
                hint="something cut it: restore it from a copy, delete the index folder beside it, and start again",
            )
        before = self._offset
        if size > before:
            self._read_on()
        if self._offset > before:
            os.fdatasync(self._handle)

    def append(self, lines: Sequence[Line]) -> None:
        """Add one write, whole and durable, in place of what stands unfinished at the end.

        Raises JournalError, and then nothing was added.
        """
        if not lines:
            return
        last = len(lines) - 1
        lines = [line if i == last else structs.replace(line, more=True) for i, line in enumerate(lines)]
        if self._offset == 0:
            lines = [Head(), *lines]
        parts = [encode(line) for line in lines]
        with explained(self._path):
            try:
                if os.fstat(self._handle).st_size > self._offset:
                    os.ftruncate(self._handle, self._offset)
                _write(self._handle, b"".join(parts), self._offset)
                os.fdatasync(self._handle)
            except BaseException:
                with suppress(OSError):
                    os.ftruncate(self._handle, self._offset)
                raise
        for line, part in zip(lines, parts, strict=True):
            self._take(line, len(part))

    def replace(self, lines: Iterable[Line]) -> None:
        """Write the file anew, each line for itself; a crash leaves the old file or the new one. Raises JournalError, OSError."""
        beside = self._path.with_name(self._path.name + ".new")
        try:
            with beside.open("wb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.writelines(encode(structs.replace(line, more=False)) for line in lines)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        sync_folder(self._path.parent)
        self.refresh()

    def read(self, span: Span) -> Line:
        """The line at a place of the file. Raises JournalError for a damaged one, OSError."""
        data = os.pread(self._handle, span.length, span.offset)
        if not is_whole(data):
            raise self._damaged(f"at byte {span.offset}")
        try:
            return decode(data)
        except msgspec.MsgspecError as error:
            raise self._unknown(f"at byte {span.offset}", error) from error

    def _read_on(self) -> None:
        pending: list[tuple[Brief, int]] = []
        offset, number, damage, once_whole, ended = self._offset, self._lines, "", False, False
        for data in lines_from(self._handle, self._offset):
            if ended:  # the damage is not of the last write
                raise self._damaged(damage)
            if not data.endswith(b"\n") and is_cut(data, offset):
                break
            number += 1
            where = f"line {number}, at byte {offset}"
            line = self._brief(data, where) if is_whole(data) else None
            if offset == 0 and not isinstance(line, Head):
                raise self._foreign()
            if line is None:
                damage = damage or where
                once_whole = once_whole or not is_cut(data, offset)
            elif damage:
                ended = not line.more
            else:
                pending.append((line, len(data)))
                if not line.more:
                    for waiting in pending:
                        self._take(*waiting)
                    pending.clear()
            offset += len(data)
        if once_whole and ended:
            raise self._damaged(damage)
        if once_whole or ended:  # the last write lacks a part: to leave out that line would leave half of it
            raise self._damaged(damage, f"cut the file at byte {self._offset}, which loses what was written last,")
        if offset == 0 and not _FIRST.startswith(os.pread(self._handle, len(_FIRST), 0)):
            raise self._foreign()

    def _brief(self, data: bytes, where: str) -> Brief:
        try:
            line = decode_brief(data)
        except msgspec.MsgspecError as error:
            raise self._unknown(where, error) from error
        if isinstance(line, Head) and line.schema > SCHEMA:
            raise JournalError(
                f"context log {self._path} has schema {line.schema}, this Clew knows schema {SCHEMA}",
                hint="a newer Clew wrote it: upgrade",
            )
        return line

    def _take(self, line: Line | Brief, length: int) -> None:
        self.places.apply(line, Span(self._offset, length))
        self._offset += length
        self._lines += 1

    def _foreign(self) -> JournalError:
        return JournalError(
            f"{self._path} is no context log, or its first line is damaged",
            hint="restore it from a copy, or choose another path for the store",
        )

    def _damaged(self, where: str, mend: str = "delete that line, which loses only what it held,") -> JournalError:
        return JournalError(
            f"context log {self._path} is damaged: {where}, the line does not match its checksum",
            hint=f"restore it from a copy; or {mend} and delete the index folder beside the log",
        )

    def _unknown(self, where: str, error: Exception) -> JournalError:
        return JournalError(
            f"context log {self._path}: {where}, the line cannot be read: {error}",
            hint="a newer Clew wrote it: upgrade",
        )


def _write(handle: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(handle, view, offset)
        view, offset = view[written:], offset + written
