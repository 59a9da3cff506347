import pytest

from clew.agents.code.signs import Signs, Told, idle, raised
from clew.agents.code.source import Mutation, Source

CODE = b"""\
def f(a, b):
    a = a
    for c in b:
        pass
    return a // b
def g(x):
    if x:
        pass
    return
"""
SOURCE = Source("m.py", CODE)


def statement(line):
    return next(s for s in SOURCE.statements if s.lineno == line)


def prior(line, operator, message, text="//"):
    start = CODE.index(text.encode())
    mutation = Mutation(operator, line, start, start + len(text), "+", 0.1)
    return Signs(statement(line), SOURCE, [Told(message, "m.py", 5)]).prior(mutation)


def test_what_does_nothing():
    assert [line for line in (2, 3, 4, 5, 7, 8) if idle(statement(line), SOURCE)] == [2, 4]


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        ("operator", "TypeError: unsupported operand type(s) for //: 'tuple' and 'tuple'"),
        ("argument missing", "TypeError: f() missing 1 required positional argument: 'y'"),
        ("call missing", "TypeError: 'tuple' object is not an iterator"),
        ("initialisation missing", "NameError: name 'p' is not defined"),
    ],
)
def test_the_message_raises_what_it_names_where_it_was_raised(operator, message):
    assert prior(5, operator, message) > 0.25
    assert prior(5, "grouping", message) == 0.1
    assert prior(8, operator, message) == 0.1


def test_another_operator_than_the_named_one_is_left_alone():
    assert prior(5, "operator", "TypeError: unsupported operand type(s) for +: 'int' and 'str'") == 0.1


def test_nothing_returned_where_none_turned_up():
    assert prior(9, "return", "TypeError: 'NoneType' object is not callable") > 0.25
    assert prior(9, "return", "TypeError: 'int' object is not callable") == 0.1


def test_a_generator_where_a_sequence_was_wanted():
    source = Source("m.py", b"def f(a):\n    b = (x for x in a)\n    return b[0]\n")
    signs = Signs(source.statements[1], source, [Told("TypeError: 'generator' object is not subscriptable", "m.py", 3)])
    assert signs.prior(Mutation("call missing", 2, 0, 1, "", 0.1)) > 0.2


def test_raised_stays_a_probability():
    assert raised(0.05, 10) == pytest.approx(0.4, abs=0.01)
    assert raised(0.95, 30) <= 1
