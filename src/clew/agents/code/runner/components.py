"""What expressions are made of in a synthesis: templates with the kinds of value that they take.

Kinds: ``i`` int, ``n`` int or float, ``s`` str, ``l`` list or tuple, ``q`` one of these three, ``d`` dict, ``c`` anything with a
length, ``b`` bool, ``a`` anything. A bool is no number here.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

_DIGITS = 10**12
_LONGEST = 2000
_TIMES = 64
_EXPONENT = 8


class Component(NamedTuple):
    """``template`` with ``{0}``, ``{1}`` …; ``fits`` refuses arguments that would cost too much."""

    template: str
    kinds: str
    apply: Callable[..., Any]
    fits: Optional[Callable[..., bool]] = None


def _component(template: str, kinds: str, fits: Optional[Callable[..., bool]] = None) -> Component:
    names = "abc"[: len(kinds)]
    source = "lambda {}: {}".format(", ".join(names), template.format(*names))
    return Component(template, kinds, eval(source), fits)  # noqa: S307 - a template of the table below


def _all(table: str) -> List[Component]:
    return [
        _component(template, kinds)
        for kinds, _, template in (line.partition(" ") for line in table.split("\n") if line)
    ]


_UNARY = """\
n -{0}
n abs({0})
n str({0})
n round({0})
s int({0})
s {0}.upper()
s {0}.lower()
s {0}.strip()
s {0}.title()
s {0}.capitalize()
s {0}.split()
s {0}.isdigit()
s {0}.isalpha()
c len({0})
q {0}[::-1]
q {0}[0]
q {0}[-1]
q {0}[1:]
q {0}[:-1]
q sorted({0})
l sum({0})
l max({0})
l min({0})
q list(dict.fromkeys({0}))
q list({0})
l tuple({0})
l any({0})
l all({0})
c bool({0})
q len(set({0}))
q sorted(set({0}))
d list({0})
d list({0}.values())
d list({0}.items())
d sum({0}.values())
d max({0}, key={0}.get)
b not {0}"""
_BINARY = """\
nn {0} + {1}
nn {0} - {1}
nn {0} * {1}
nn {0} // {1}
nn {0} % {1}
nn {0} / {1}
nn min({0}, {1})
nn max({0}, {1})
nn {0} < {1}
nn {0} <= {1}
aa {0} == {1}
ss {0} + {1}
ll {0} + {1}
sl {0}.join({1})
ss {0}.split({1})
ss {0}.count({1})
ss {0}.startswith({1})
ss {0}.endswith({1})
ss {1} in {0}
la {1} in {0}
la {0}.count({1})
la {0}.index({1})
qi {0}[{1}]
qi {0}[:{1}]
qi {0}[{1}:]
qi {0}[::{1}]
ll list(zip({0}, {1}))
ll dict(zip({0}, {1}))
da {0}[{1}]
da {0}.get({1})
da {1} in {0}
bb {0} and {1}
bb {0} or {1}"""
_TERNARY = """\
sss {0}.replace({1}, {2})
qii {0}[{1}:{2}]
daa {0}.get({1}, {2})"""


def _few(value: Any, times: Any) -> bool:
    return 0 <= times <= _TIMES and len(value) <= _LONGEST // _TIMES


def _low(base: Any, power: Any) -> bool:
    return 0 <= power <= _EXPONENT and abs(base) < 1000


def _digits(_value: Any, digits: Any) -> bool:
    return abs(digits) <= _EXPONENT  # rounding an int takes a power of ten


def _short(end: Any) -> bool:
    return -1 <= end <= _TIMES


COMPONENTS: Tuple[Component, ...] = (
    *_all(_UNARY),
    *_all(_BINARY),
    *_all(_TERNARY),
    _component("{0} * {1}", "qi", _few),
    _component("{0} ** {1}", "ni", _low),
    _component("round({0}, {1})", "ni", _digits),
    _component("list(range({0}))", "i", _short),
    _component("list(range(1, {0} + 1))", "i", _short),
)
COMMUTE = frozenset(
    (kinds, template)
    for kinds, _, template in (line.partition(" ") for line in _BINARY.split("\n"))
    if template in ("{0} == {1}", "{0} * {1}", "min({0}, {1})", "max({0}, {1})", "{0} and {1}", "{0} or {1}")
    or (kinds, template) == ("nn", "{0} + {1}")
)
"""Those of which one order is enough."""
INNER = tuple(c for c in COMPONENTS if len(c.kinds) < 3 and "range" not in c.template and "zip" not in c.template)
"""For what is done with each item of a sequence."""


def kind(value: Any) -> str:
    """The one letter of a value; ``a`` for what has none."""
    return next((letter for known, letter in _KINDS.items() if type(value) is known), "a")


_KINDS: Dict[type, str] = {
    bool: "b",
    int: "i",
    float: "n",
    str: "s",
    list: "l",
    tuple: "l",
    dict: "d",
    set: "c",
    frozenset: "c",
}
_TAKES = {"n": "in", "q": "sl", "c": "sldc", "a": "binsldca"}


def takes(wanted: str, given: str) -> bool:
    return given in _TAKES.get(wanted, wanted)


def small(value: Any) -> bool:
    """Whether a value is small enough to go on with."""
    if kind(value) in "in":
        return bool(abs(value) <= _DIGITS)
    return kind(value) not in "sldc" or len(value) <= _LONGEST
