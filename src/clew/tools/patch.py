"""Unified diffs, read strictly and applied to texts.

The format is that of GNU diffutils ("Detailed Description of Unified Format") with git's extended headers for new,
deleted and renamed files. A hunk must fit exactly; where line numbers are off, it is moved to the only other place
where it fits exactly, and that is reported. There is no fuzz.
"""

import re
from dataclasses import dataclass, field

from clew.core.errors import Failure
from clew.tools.text import split_lines

MAX_FILES = 500
_HUNK = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@")
_NULL = "/dev/null"
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_SHOWN = 120


@dataclass
class Hunk:
    """``old`` and ``new`` are lines with their ends; ``start`` is the line in the old file, from 1."""

    start: int
    old: list[str] = field(default_factory=list[str])
    new: list[str] = field(default_factory=list[str])
    context: int = 0
    """How many lines stand in both."""
    at: int = 0
    """Line of the patch where the hunk begins."""


@dataclass
class FilePatch:
    """One file of a patch. ``old``/``new`` are paths, None for a file that does not exist before or after."""

    old: str | None
    new: str | None
    hunks: list[Hunk] = field(default_factory=list[Hunk])
    executable: bool | None = None
    """The mode that git names; None leaves it as it is."""

    @property
    def path(self) -> str:
        return self.new or self.old or ""


@dataclass(frozen=True)
class Placed:
    """Where a hunk went: ``offset`` is how many lines it was off."""

    start: int
    offset: int
    added: int
    removed: int


class HunkMisfit(Exception):
    """Hunk ``number`` (from 1) does not fit; ``line`` of the file is where it ought to stand."""

    def __init__(self, number: int, line: int, expected: str, found: str) -> None:
        super().__init__(f"hunk {number} does not fit at line {line}")
        self.number = number
        self.line = line
        self.expected = expected[:_SHOWN]
        self.found = found[:_SHOWN]


def parse(patch: str) -> list[FilePatch]:
    """Raises Failure(code="invalid_patch") with the line of the patch."""
    reader = _Reader(split_lines(patch))
    files = reader.files()
    if not files:
        raise Failure(
            "the patch holds no file", code="invalid_patch", hint="begin with '--- a/path', '+++ b/path', '@@ … @@'"
        )
    return files


def apply(hunks: list[Hunk], text: str) -> tuple[str, list[Placed]]:
    """The new text and where each hunk went. Raises HunkMisfit."""
    lines = split_lines(text)
    result: list[str] = []
    placed: list[Placed] = []
    done = 0
    shift = 0
    for number, hunk in enumerate(hunks, 1):
        wanted = hunk.start - 1 if hunk.old else hunk.start
        at = _place(lines, hunk, number, max(0, wanted + shift), done)
        result += lines[done:at]
        result += hunk.new
        done = at + len(hunk.old)
        shift = at - wanted
        placed.append(Placed(at + 1, shift, len(hunk.new) - hunk.context, len(hunk.old) - hunk.context))
    result += lines[done:]
    for position, line in enumerate(result[:-1]):
        if not line.endswith("\n"):
            raise HunkMisfit(len(hunks), position + 1, "a line end", line)
    return "".join(result), placed


def _place(lines: list[str], hunk: Hunk, number: int, wanted: int, done: int) -> int:
    size = len(hunk.old)
    if wanted >= done and lines[wanted : wanted + size] == hunk.old and wanted <= len(lines):
        return wanted
    first = hunk.old[0] if hunk.old else ""
    places = [
        at
        for at in range(done, len(lines) - size + 1)
        if size and lines[at] == first and lines[at : at + size] == hunk.old
    ]
    if len(places) == 1:
        return places[0]
    for index, expected in enumerate(hunk.old):
        found = lines[wanted + index] if wanted + index < len(lines) else "(end of file)"
        if found != expected:
            raise HunkMisfit(number, wanted + index + 1, expected, found)
    raise HunkMisfit(
        number, wanted + 1, hunk.old[0] if hunk.old else "(a place after the hunk before)", "(other lines)"
    )


class _Reader:
    """A cursor over the lines of a patch."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._at = 0

    def files(self) -> list[FilePatch]:
        files: list[FilePatch] = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.startswith("diff --git "):
                files += self._git_file()
            elif line.startswith("--- ") and self._peek(1).startswith("+++ "):
                files.append(self._plain_file(None))
            elif line.startswith("@@ "):
                raise self._wrong("a hunk without '--- old' and '+++ new' before it")
            else:
                self._at += 1  # text before, between and after is allowed, as in mails
            if len(files) > MAX_FILES:
                raise self._wrong(f"more than {MAX_FILES} files")
        return files

    def _peek(self, ahead: int) -> str:
        return self._lines[self._at + ahead] if self._at + ahead < len(self._lines) else ""

    def _wrong(self, what: str) -> Failure:
        return Failure(
            f"line {self._at + 1} of the patch: {what}",
            code="invalid_patch",
            details={"line": self._at + 1, "text": self._peek(0)[:_SHOWN]},
        )

    def _git_file(self) -> list[FilePatch]:
        """Extended headers up to the ``---`` line; a pure rename or an empty new file has none."""
        header = self._lines[self._at]
        self._at += 1
        facts: dict[str, str] = {}
        while (line := self._peek(0)) and not line.startswith(("diff --git ", "--- ", "@@ ")):
            for key in ("new file mode ", "deleted file mode ", "rename from ", "rename to ", "old mode ", "new mode "):
                if line.startswith(key):
                    facts[key.strip()] = line[len(key) :].rstrip("\n")
            if line.startswith(("GIT binary patch", "Binary files ", "copy from ")):
                raise self._wrong("binary patches and copies cannot be applied")
            if facts.get("new file mode", facts.get("new mode", "100644")) not in ("100644", "100755"):
                raise self._wrong("links and submodules cannot be made by a patch")
            self._at += 1
        mode = facts.get("new file mode", facts.get("new mode"))
        executable = None if mode is None else mode == "100755"
        if self._peek(0).startswith("--- "):
            file = self._plain_file(facts)
            file.executable = executable
            return [file]
        if "rename from" in facts and "rename to" in facts:
            return [FilePatch(_unquote(facts["rename from"]), _unquote(facts["rename to"]), executable=executable)]
        if mode is None and "deleted file mode" not in facts:
            return []
        path = header[len("diff --git ") :].rstrip("\n").rpartition(" b/")[2].strip('"')
        old = None if "new file mode" in facts else path
        return [FilePatch(old, None if "deleted file mode" in facts else path, executable=executable)]

    def _plain_file(self, git: dict[str, str] | None) -> FilePatch:
        if not self._peek(1).startswith("+++ "):
            raise self._wrong("'--- old' must be followed by '+++ new'")
        old, new = _name(self._peek(0)[4:]), _name(self._peek(1)[4:])
        if old is None and new is None:
            raise self._wrong("both files are /dev/null")
        if git is not None or all(name is None or name[:2] == side for name, side in ((old, "a/"), (new, "b/"))):
            old, new = (name[2:] if name is not None and name[:2] in ("a/", "b/") else name for name in (old, new))
        self._at += 2
        file = FilePatch(old, new)
        while self._peek(0).startswith("@@"):
            file.hunks.append(self._hunk())
        if not file.hunks and (git is None or "rename from" not in git):
            raise self._wrong("expected a hunk: '@@ -line,count +line,count @@'")
        return file

    def _hunk(self) -> Hunk:
        head = _HUNK.match(self._lines[self._at])
        if head is None:
            raise self._wrong("not a hunk header: '@@ -line,count +line,count @@'")
        old_left, new_left = (int(head[group]) if head[group] is not None else 1 for group in (2, 4))
        hunk = Hunk(start=int(head[1]), at=self._at + 1)
        self._at += 1
        while old_left > 0 or new_left > 0:
            line = self._peek(0)
            sign, body = (line[0], line[1:]) if line.strip("\r\n") else (" ", "\n")
            if not line or sign not in " +-" or (sign != "+" and not old_left) or (sign != "-" and not new_left):
                raise self._wrong(f"the hunk lacks {old_left} old and {new_left} new lines: its header does not fit it")
            if self._peek(1).startswith("\\"):
                body = body.rstrip("\n")
                self._at += 1
            elif not body.endswith("\n"):
                body += "\n"  # the patch itself ends without one
            if sign != "+":
                hunk.old.append(body)
                old_left -= 1
            if sign != "-":
                hunk.new.append(body)
                new_left -= 1
            hunk.context += sign == " "
            self._at += 1
        return hunk


def _name(text: str) -> str | None:
    """The path of a ``---`` or ``+++`` line, without the time stamp; None for /dev/null."""
    text = text.rstrip("\r\n")
    name = _unquote(text) if text.startswith('"') else text.partition("\t")[0].rstrip(" ")
    return None if name == _NULL else name


def _unquote(text: str) -> str:
    """Undo git's C-style quoting of unusual names."""
    if not (text.startswith('"') and text.rstrip().endswith('"') and len(text.rstrip()) > 1):
        return text
    raw = bytearray()
    for token in re.finditer(r"\\([0-3][0-7]{2})|\\(.)|([^\\]+)", text.rstrip()[1:-1], re.DOTALL):
        octal, escape, plain = token.groups()
        if octal:
            raw.append(int(octal, 8))
        else:
            raw += (_ESCAPES.get(escape, escape) if escape else plain).encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "surrogateescape")
