import pytest

from clew.core.errors import Failure
from clew.tools.junit import parse

REPORT = b"""<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest" tests="4">
<testcase classname="tests.test_a" name="test_ok" file="tests/test_a.py" line="1" time="0.01"/>
<testcase classname="tests.test_a.TestX" name="test_b[a::b]" file="tests/test_a.py" time="x">
<failure message="assert 1 == 2">trace &lt;b&gt;</failure></testcase>
<testcase classname="tests.test_a" name="test_s" file="tests/test_a.py"><skipped message="no"/></testcase>
<testcase classname="" name="tests.test_b" time="0"><error message="collection failure">boom</error></testcase>
</testsuite></testsuites>"""


def test_outcomes_and_ids():
    assert [(test.id, test.outcome, test.message, test.detail) for test in parse(REPORT)] == [
        ("tests/test_a.py::test_ok", "passed", "", ""),
        ("tests/test_a.py::TestX::test_b[a::b]", "failed", "assert 1 == 2", "trace <b>"),
        ("tests/test_a.py::test_s", "skipped", "no", ""),
        ("tests.test_b", "error", "collection failure", "boom"),
    ]


BOMB = (
    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]><x>&j;</x>"
)


@pytest.mark.parametrize(
    "report",
    [
        BOMB,
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>',
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
        b"<x>&undefined;</x>",
        b"",
        b"not xml",
        b"<a><b></a>",
        b"<testsuite>" + b"<testcase name='x'/>" * 20_001 + b"</testsuite>",
    ],
)
def test_hostile_reports_are_refused(report):
    with pytest.raises(Failure) as caught:
        parse(report)
    assert caught.value.code == "bad_report"


def test_huge_texts_are_cut():
    report = b"<s><testcase name='%s'><failure message='%s'>%s</failure></testcase></s>" % (
        b"n" * 10_000, b"m" * 100_000, b"t" * 1_000_000,
    )  # fmt: skip
    (test,) = parse(report)
    assert (len(test.id), len(test.message), len(test.detail)) == (500, 2000, 6000)


def test_many_levels_do_not_hurt():
    assert parse(b"<a>" * 100_000 + b"</a>" * 100_000) == []
