"""Text to values with positions. YAML by the 1.2 core schema; JSON is read the same way, being YAML.

Built from the parser's events, without recursion, so that depth, size and the expansion of aliases are bounded before
anything is built. ``on``, ``yes``, ``no`` and dates are strings; merge keys, custom tags and several documents are
refused. Source of the rules: YAML 1.2.2, section 10.3.2.
"""

import json
import math
import re
from typing import Any

import yaml

from clew.manifest.problems import Mark, Path, Problems, shown

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_VALUES = 100_000
"""Values in one file, aliases expanded."""

_yaml: Any = yaml  # its types are not complete
_Loader = getattr(_yaml, "CSafeLoader", _yaml.SafeLoader)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SURROGATES = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_A_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_CORE = "tag:yaml.org,2002:"
_TAGS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "null": (type(None),),
}


Scalar = str | int | float | bool | None


class Located:
    """A value and where it stands. ``value`` is a scalar, a list of Located, or ``{key: (mark of the key, Located)}``."""

    __slots__ = ("depth", "incomplete", "mark", "refused", "size", "value")

    def __init__(self, value: "Scalar | list[Located] | dict[str, tuple[Mark, Located]]", mark: Mark) -> None:
        self.value = value
        self.mark = mark
        self.size = 1
        self.depth = 1
        self.refused = False
        """Its value was reported already and is not to be used."""
        self.incomplete = False
        """A mapping of which a key was reported already: it may have had more than it shows."""

    def plain(self) -> Any:
        """The value without positions. Recursion is bounded by ``MAX_DEPTH``."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, (_, child) in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value


def read(data: bytes, file: str, base: Path, problems: Problems) -> Located | None:
    """The value in ``data``, or ``None`` when it cannot be read; what is wrong is added to ``problems``.

    ``file`` is the name to report, ``base`` the key path of its top; a name that ends in ``.json`` must be JSON.
    """
    text = _decode(data, file, problems)
    if text is None:
        return None
    if file.endswith(".json"):
        if not _is_json(text, file, problems):
            return None
        text = _SURROGATES.sub(_joined_surrogates, text)
    builder = _Builder(file, base, problems)
    try:
        for event in _yaml.parse(text, Loader=_Loader):
            builder.take(event)
    except _Refused:
        return None
    except yaml.MarkedYAMLError as error:
        _syntax(error, text, file, problems)
        return None
    except yaml.YAMLError as error:
        problems.add(Mark(file), (), "syntax", f"cannot be read as YAML: {' '.join(str(error).split())}")
        return None
    return builder.root


def _decode(data: bytes, file: str, problems: Problems) -> str | None:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        problems.add(Mark(file, 1, 1), (), "encoding", "is UTF-16; save the file as UTF-8")
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        good = data[: error.start].decode("utf-8", "replace")
        byte = data[error.start]
        problems.add(_place(good, len(good), file), (), "encoding", f"byte 0x{byte:02x} is not UTF-8; save it as UTF-8")
        return None
    bad = _UNPRINTABLE.search(text)
    if bad is not None:
        name = "a NUL character" if bad[0] == "\0" else f"the control character U+{ord(bad[0]):04X}"
        message = f"contains {name}; manifests are text (write it as an escape in a quoted string)"
        problems.add(_place(text, bad.start(), file), (), "encoding", message)
        return None
    return text


def _place(text: str, offset: int, file: str) -> Mark:
    return Mark(file, text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1)


def _is_json(text: str, file: str, problems: Problems) -> bool:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        problems.add(Mark(file, error.lineno, error.colno), (), "syntax", f"is not JSON: {error.msg}")
        return False
    except (ValueError, RecursionError):
        return True  # numbers and nesting without bounds: the event reader says it better
    return True


def _joined_surrogates(match: re.Match[str]) -> str:
    high, low = int(match[2], 16), int(match[3], 16)
    return f"{match[1]}\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08X}"


def _syntax(error: yaml.MarkedYAMLError, text: str, file: str, problems: Problems) -> None:
    where = error.problem_mark or error.context_mark
    mark = Mark(file, where.line + 1, where.column + 1) if where is not None else Mark(file)
    message = f"is not YAML: {error.problem or 'syntax error'}"
    if error.context:
        message += f" ({error.context}"
        message += f" at line {error.context_mark.line + 1})" if error.context_mark is not None else ")"
    lines = text.split("\n")
    if where is not None and where.line < len(lines) and "\t" in lines[where.line][: where.column + 1]:
        message += "; indent with spaces, not tabs"
    problems.add(mark, (), "syntax", message)


class _Refused(Exception):
    pass


class _Open:
    """A list or mapping that is being read."""

    __slots__ = ("anchor", "drop", "key", "located")

    def __init__(self, located: Located, anchor: str | None) -> None:
        self.located = located
        self.anchor = anchor
        self.key: tuple[str, Mark] | None = None
        self.drop = False
        """The next value is read and dropped, because its key was refused."""


class _Builder:
    """Folds parser events into one Located value."""

    def __init__(self, file: str, base: Path, problems: Problems) -> None:
        self._file = file
        self._base = base
        self._problems = problems
        self._stack: list[_Open] = []
        self._anchors: dict[str, Located | None] = {}
        self._values = 0
        self.root: Located | None = None

    def take(self, event: Any) -> None:
        mark = Mark(self._file, event.start_mark.line + 1, event.start_mark.column + 1)
        match event:
            case yaml.ScalarEvent():
                self._scalar(event, mark)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._begin(event, mark)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._end()
            case yaml.AliasEvent():
                self._alias(event.anchor, mark)
            case yaml.DocumentStartEvent() if self.root is not None:
                self._refuse(mark, "documents", "a second document begins here; a manifest is one document")
            case _:
                pass

    def _refuse(self, mark: Mark, code: str, message: str) -> None:
        self._problems.add(mark, self._path(), code, message)
        raise _Refused

    def _path(self) -> Path:
        parts: list[str | int] = list(self._base)
        for opened in self._stack:
            if isinstance(opened.located.value, list):
                parts.append(len(opened.located.value))
            elif opened.key is not None:
                parts.append(opened.key[0])
        return tuple(parts)

    def _key_expected(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].located.value, dict) and self._stack[-1].key is None

    def _scalar(self, event: Any, mark: Mark) -> None:
        plain = event.style in (None, "") and event.tag is None
        if self._key_expected():
            self._key(event.value, plain, event, mark)
            return
        located = Located(event.value, mark)
        try:
            if plain:
                located.value = resolve(event.value)
            elif event.tag is not None:
                located.value = _tagged(event.tag, event.value)
        except ValueError as error:
            self._problems.add(mark, self._path(), "value", str(error))
            located.refused = True
        if event.anchor is not None:
            self._anchors[event.anchor] = located
        self._add(located)

    def _key(self, name: str, plain: bool, event: Any, mark: Mark) -> None:
        opened = self._stack[-1]
        refused = ""
        if event.tag is not None and event.tag not in ("!", _CORE + "str"):
            refused = f"has the tag {shown(event.tag)} on a key; keys are plain strings"
        elif plain and name == "<<":
            refused = "merge keys (<<) are not part of YAML 1.2; write the keys out"
        elif plain and not _is_string(name):
            refused = f"found the key {name or 'nothing'}, expected a string; write it in quotes"
        if not refused and isinstance(opened.located.value, dict) and name in opened.located.value:
            first = opened.located.value[name][0]
            refused = f"the key is given twice; first at {first}"
            self._problems.add(mark, (*self._path(), name), "duplicate_key", refused)
        elif refused:
            self._problems.add(mark, self._path(), "key", refused)
            opened.located.incomplete = True
        opened.key = (name, mark)
        opened.drop = bool(refused)
        if event.anchor is not None:
            self._anchors[event.anchor] = Located(name, mark)

    def _begin(self, event: Any, mark: Mark) -> None:
        mapping = isinstance(event, yaml.MappingStartEvent)
        if self._key_expected():
            self._refuse(mark, "key", f"found {'a mapping' if mapping else 'a list'} as a key, expected a string")
        if len(self._stack) >= MAX_DEPTH:
            self._refuse(mark, "depth", f"is nested deeper than {MAX_DEPTH} levels")
        located = Located({} if mapping else [], mark)
        if event.tag is not None and event.tag not in ("!", _CORE + ("map" if mapping else "seq")):
            self._problems.add(mark, self._path(), "tag", f"has the tag {shown(event.tag)}; custom tags are not read")
            located.refused = True
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._stack.append(_Open(located, event.anchor))

    def _end(self) -> None:
        opened = self._stack.pop()
        if opened.anchor is not None:
            self._anchors[opened.anchor] = opened.located
        self._add(opened.located)

    def _alias(self, name: str, mark: Mark) -> None:
        if name not in self._anchors:
            self._refuse(mark, "alias", f"the anchor {shown(name)} is not defined before this place")
        located = self._anchors[name]
        if located is None:
            self._refuse(mark, "alias", f"the alias {shown(name)} stands inside the value it repeats")
            return
        if self._key_expected():
            self._refuse(mark, "key", "found an alias as a key, expected a string")
        if len(self._stack) + located.depth > MAX_DEPTH:
            self._refuse(mark, "depth", f"is nested deeper than {MAX_DEPTH} levels when aliases are expanded")
        self._add(located)

    def _add(self, located: Located) -> None:
        # Containers were counted child by child while they were read; an alias counts all that it repeats.
        parent = self._stack[-1].located if self._stack else None
        if parent is not None:
            parent.size += located.size
            parent.depth = max(parent.depth, located.depth + 1)
        outermost = self._stack[0].located.size if self._stack else located.size
        if max(outermost, located.size) > MAX_VALUES:
            self._refuse(located.mark, "size", f"holds more than {MAX_VALUES} values when aliases are expanded")
        if parent is None:
            self.root = located
        elif isinstance(parent.value, list):
            parent.value.append(located)
        elif isinstance(parent.value, dict):
            opened = self._stack[-1]
            if opened.key is not None and not opened.drop:
                parent.value[opened.key[0]] = (opened.key[1], located)
            opened.key = None


def resolve(text: str) -> Scalar:
    """A plain scalar's value by the core schema. Raises ValueError for numbers that JSON does not have."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        if len(text) > 25:
            raise ValueError(f"found {shown(text)}, expected a number of 64 bits; write text in quotes")
        number = int(text, 0) if text.startswith(("0o", "0x")) else int(text)
        if not -(2**63) <= number < 2**63:
            raise ValueError(f"found {text}, expected a number of 64 bits; write text in quotes")
        return number
    if _FLOAT.fullmatch(text):
        value = float(text)
        if math.isinf(value):
            raise ValueError(f"found {shown(text)}, which is too large for a number; write text in quotes")
        return value
    if _NOT_A_NUMBER.fullmatch(text):
        raise ValueError(f"found {text}, which JSON cannot carry; write a finite number, or text in quotes")
    return text


def _is_string(text: str) -> bool:
    try:
        return isinstance(resolve(text), str)
    except ValueError:
        return False


def _tagged(tag: str, text: str) -> Scalar:
    if tag in ("!", _CORE + "str"):
        return text
    types = _TAGS.get(tag.removeprefix(_CORE)) if tag.startswith(_CORE) else None
    if types is None:
        raise ValueError(f"has the tag {shown(tag)}; custom tags are not read")
    value = resolve(text)
    if type(value) not in types:
        raise ValueError(f"has the tag !!{tag.removeprefix(_CORE)}, but {shown(text)} is none")
    return float(value) if tag.endswith("float") and isinstance(value, int) else value
