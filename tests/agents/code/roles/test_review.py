"""What is measured of a design, and what a model adds to it."""

import pytest

from clew.agents.code.roles import review
from clew.core.errors import Failure

HEADS = ("for x in a:", "if x:", "while x:", "with x:", "if b:", "pass")
DEEP = "def deep(a, b, c, d, e, f, g):\n" + "".join(f"{'    ' * n}{head}\n" for n, head in enumerate(HEADS, 1))
CHAIN = "def chain(a):\n    if a:\n        pass\n" + "    elif a == 2:\n        pass\n" * 5
FILES = {
    "src/p/__init__.py": "",
    "src/p/a.py": "from . import b\n",
    "src/p/b.py": "import p.c\n",
    "src/p/c.py": "try:\n    from p.a import x\nexcept ImportError:\n    pass\n",
    "src/p/d.py": f"from p import a\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import p.e\n{DEEP}{CHAIN}",
    "src/p/e.py": "import p.d\nclass C:\n"
    + "".join(f"    def m{n}(self): pass\n" for n in range(21))
    + "X = 1\n" * 500,
    "src/p/f.py": "def long():\n" + "    pass\n" * 60,
    "src/p/broken.py": "def (\n",
    "tests/test_p.py": "def test(a, b, c, d, e, f, g): pass\n",
}


async def test_measured(repo, seat):
    told = await review.work({"repo": str(repo(FILES))}, seat())
    found = {(one["location"], one["message"]) for one in told["findings"]}
    assert found == {
        ("src/p/a.py:1", "3 files import each other: src/p/a.py, src/p/b.py, src/p/c.py"),
        ("src/p/d.py:5", "deep has 7 parameters"),
        ("src/p/d.py:5", "deep has 5 blocks within each other"),
        ("src/p/e.py", "523 lines"),
        ("src/p/e.py:2", "class C has 21 public methods"),
        ("src/p/f.py:1", "long has 61 lines"),
    }
    assert (told["kind"], told["method"], told["severity"]) == ("design_review", "offline", "warn")
    assert told["measured"]["files"] == 7
    assert len(told["suggestions"]) <= 10


async def test_a_part(repo, seat):
    told = await review.work({"repo": str(repo(FILES)), "target": "src/p/f.py"}, seat())
    assert [one["location"] for one in told["findings"]] == ["src/p/f.py:1"]
    with pytest.raises(Failure) as failed:
        await review.work({"repo": str(repo(FILES)), "target": "tests"}, seat())
    assert failed.value.code == "no_python"


async def test_a_model(repo, seat):
    finding = {"severity": "error", "location": "src/p/a.py", "message": "knows too much", "suggestion": "split it"}
    place = seat({"summary": "entangled", "findings": [finding]})
    told = await review.work({"repo": str(repo(FILES)), "model": "coder", "instructions": "Is it layered?"}, place)
    assert (told["method"], told["summary"], told["findings"][0]) == ("model", "entangled", finding)
    assert len(told["findings"]) == 7
    asked = place.body.asked[0][1]["content"]
    for part in ("Is it layered?", "3 files import each other", "src/p/a.py imports src/p/b.py", "class C: m0, m1"):
        assert part in asked
