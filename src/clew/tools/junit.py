"""pytest's JUnit report (family ``xunit1``), read as hostile input: the tests that wrote it are.

A document type, and with it every entity, is refused by the parser's first sight of it, so nothing can expand.
"""

from dataclasses import dataclass
from typing import Any
from xml.parsers import expat

from clew.core.errors import Failure

MAX_TESTS = 20_000
_MESSAGE = 2000
_DETAIL = 6000
_ID = 500
_OUTCOMES = {"failure": "failed", "error": "error", "skipped": "skipped"}


@dataclass
class TestOutcome:
    """``outcome``: passed, failed, error or skipped. ``detail`` is the end of what pytest printed for it."""

    __test__ = False

    id: str
    outcome: str = "passed"
    message: str = ""
    detail: str = ""
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "outcome": self.outcome, "message": self.message, "detail": self.detail}


class _Reader:
    def __init__(self) -> None:
        self.tests: list[TestOutcome] = []
        self._text: list[str] | None = None
        self._room = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "testcase":
            if len(self.tests) >= MAX_TESTS:
                raise _bad(f"more than {MAX_TESTS} tests")
            self.tests.append(TestOutcome(id=_test_id(attributes)[:_ID], seconds=_seconds(attributes)))
        elif name in _OUTCOMES and self.tests:
            test = self.tests[-1]
            if test.outcome in ("passed", "skipped"):  # an error in teardown comes after a failure: the failure stays
                test.outcome = _OUTCOMES[name]
                test.message = attributes.get("message", "")[:_MESSAGE]
                self._text, self._room = [], 50 * _DETAIL

    def characters(self, data: str) -> None:
        if self._text is not None and self._room > 0:
            self._text.append(data[: self._room])
            self._room -= len(data)

    def end(self, name: str) -> None:
        if name in _OUTCOMES and self._text is not None:
            self.tests[-1].detail = "".join(self._text).strip()[-_DETAIL:]
            self._text = None


def parse(data: bytes) -> list[TestOutcome]:
    """Raises Failure(code="bad_report") for anything that is not a plain report."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.ExternalEntityRefHandler = _refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise _bad(f"not XML: {error}") from None
    return reader.tests


def _refuse(*_: Any) -> int:
    raise _bad("it declares a document type or an entity")


def _bad(why: str) -> Failure:
    return Failure(f"the test report cannot be read: {why}", code="bad_report")


def _test_id(attributes: dict[str, str]) -> str:
    """pytest's node id again, from ``file``, ``classname`` (dotted module, then classes) and ``name``."""
    file, classname, name = (attributes.get(key, "") for key in ("file", "classname", "name"))
    if not file:
        return f"{classname}::{name}" if classname and name else name or classname
    module = file.removesuffix(".py").replace("/", ".")
    classes = classname[len(module) :].strip(".") if classname.startswith(module) else ""
    return "::".join([file, *(part for part in classes.split(".") if part), name])


def _seconds(attributes: dict[str, str]) -> float:
    try:
        return float(attributes.get("time", "0"))
    except ValueError:
        return 0.0
