"""What an error log names: failing tests, exceptions, and places in the repository's code."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import msgspec

_MOST = 20
_FRAME = re.compile(r'File "([^"\n]{1,500})", line (\d+)(?:, in ([^\n]{1,200}))?')
_SHORT = re.compile(r"^([^\s:\"][^:\n\"]{0,400}\.py):(\d+):(?: in (\S{1,200}))?", re.MULTILINE)
_TEST = re.compile(r"([\w./\-]{1,400}\.py::[\w:.\-]{1,300}(?:\[[^\]\n]{0,300}\])?)")
_ERROR = re.compile(
    r"^(?:E\s+)?((?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt|Warning|Iteration))(?::[ \t]*(.*))?$",
    re.MULTILINE,
)
_ASSERT = re.compile(r"^E\s+(assert .*)$", re.MULTILINE)


class Place(msgspec.Struct, frozen=True):
    """A line of a file of the repository."""

    file: str
    line: int
    function: str = ""


class Read(msgspec.Struct, frozen=True):
    """What a log says; places innermost first, each list bounded and without repetition."""

    tests: list[str]
    errors: list[str]
    places: list[Place]

    @property
    def summary(self) -> str:
        said = self.errors[0] if self.errors else "the log names no exception"
        at = f", at {self.places[0].file}:{self.places[0].line}" if self.places else ""
        inside = f" in {self.places[0].function}" if self.places and self.places[0].function else ""
        return f"{said}{at}{inside}"


def read(log: str, files: Sequence[str]) -> Read:
    """``files``: the repository's, as paths relative to its top; frames of other files are left out."""
    known = set(files)
    places: list[Place] = []
    for match in sorted((*_FRAME.finditer(log), *_SHORT.finditer(log)), key=lambda m: -m.start()):
        file = _of_repository(match[1], known)
        if file:
            places.append(Place(file, int(match[2][:9]), (match[3] or "").strip()))
    tests = [test for test in _TEST.findall(log) if _of_repository(test.partition("::")[0], known)]
    errors = [f"{name}: {said}" if said else name for name, said in _ERROR.findall(log)]
    errors += [f"AssertionError: {said}" for said in _ASSERT.findall(log)]
    named = dict.fromkeys(place for place in places if place.function)
    there = {(place.file, place.line) for place in named}
    bare = dict.fromkeys(place for place in places if not place.function and (place.file, place.line) not in there)
    ordered = sorted((*named, *bare), key=places.index)
    return Read(list(dict.fromkeys(tests))[:_MOST], list(dict.fromkeys(errors))[:_MOST], ordered[:_MOST])


def _of_repository(path: str, known: set[str]) -> str:
    """The file that a log means: the path itself, or the longest end of it that the repository has."""
    parts = PurePosixPath(path).parts
    ends = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((end for end in ends if end in known), "")
