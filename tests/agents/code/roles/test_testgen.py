"""Tests that are made for a file: they run, they say where they come from, and they do no harm."""

import textwrap

import pytest

from clew.agents.code.roles import testexec, testgen
from clew.core.errors import Failure

FILES = {
    "src/shop/__init__.py": "",
    "src/shop/price.py": '''\
        """Prices."""
        import os
        import random
        from typing import List, Optional


        class TooLow(ValueError):
            pass


        def discount(price: int, percent: int = 10) -> int:
            """A lower price.

            >>> discount(200)  # the usual one
            180
            >>> discount(100, 200)
            Traceback (most recent call last):
            ...
            ValueError: more than all of it
            """
            if percent > 100:
                raise ValueError("more than all of it")
            if price < 0:
                raise TooLow(price)
            return price - price * percent // 100


        def best(prices: List[int]) -> Optional[int]:
            return min(prices) if prices else None


        def label(text):
            return text.strip().upper()


        def forget(name: str) -> bool:
            os.remove(name)
            return True


        def endless(number: int) -> int:
            while True:
                number += 1


        def lucky(number: int) -> float:
            return random.random()


        def thing(number: int):
            return object()


        async def later(number: int) -> int:
            return number


        def _private(number: int) -> int:
            return number
        ''',
    "tests/test_price.py": "def test_nothing():\n    pass\n",
}


@pytest.fixture
def make(repo, seat, python):
    async def perform(*answers, files=FILES, **payload):
        place = seat(*answers)
        perform.body = place.body
        payload = {"repo": str(repo(files)), "python": python, **({"model": "coder"} if answers else {}), **payload}
        return await testgen.work({"target": "src/shop/price.py", **payload}, place)

    return perform


@pytest.mark.slow
async def test_offline(make, repo, seat, python):
    told = await make()
    text = told["changes"]["tests/test_price_generated.py"]
    assert (told["ok"], told["method"], told["path"]) == (True, "offline", "tests/test_price_generated.py"), text
    assert "from shop.price import TooLow, best, discount, label" in text
    assert "assert discount(200) == 180" in text
    assert "with pytest.raises(ValueError):\n        discount(100, 200)" in text
    assert "(([],), None)," in text
    assert ", TooLow)," in text
    assert "def test_label_observed(" in text
    assert "need not be what it ought to do" in text
    skipped = {one["function"]: one["why"] for one in told["skipped"]}
    assert skipped["forget"] == "it reaches for the world: os.remove"
    assert skipped["later"] == "it is asynchronous"
    assert not any(name in text for name in ("forget", "endless", "lucky", "thing", "_private"))
    wrong = textwrap.dedent(FILES["src/shop/price.py"]).replace("else None", "else 0")
    payload = {"repo": str(repo({})), "python": python, "target": told["path"]}
    ran = await testexec.work({**payload, "changes": {**told["changes"], "src/shop/price.py": wrong}}, seat())
    assert ran["counts"]["failed"] == 1
    again = await make()
    assert again["changes"] == told["changes"]


async def test_one_function(make):
    told = await make(function="best")
    assert told["path"] == "tests/test_price_best_generated.py"
    assert "discount" not in told["changes"][told["path"]]
    assert told["observed"] >= 3


async def test_a_documented_example_that_is_wrong_is_kept(make):
    files = {
        "half.py": 'def half(n: int) -> int:\n    """Half.\n\n    >>> half(4)\n    3\n    """\n    return n // 2\n'
    }
    told = await make(files=files, target="half.py")
    assert not told["ok"]
    assert [one["id"] for one in told["failing"]] == ["test_half_generated.py::test_half_documented"]


@pytest.mark.parametrize(
    ("files", "payload", "code"),
    [
        ({"a.py": "import nothing_there\n"}, {"target": "a.py"}, "not_importable"),
        ({"a.py": "raise SystemExit\n"}, {"target": "a.py"}, "not_importable"),
        ({"a.py": "X = 1\n"}, {"target": "a.py"}, "offline_cannot"),
        ({"a.py": "def f(): return 1\n"}, {"target": "a.py", "function": "g"}, "no_function"),
        ({"a.py": ""}, {"target": "b.py"}, "not_found"),
        ({"a.py": ""}, {"target": "../b.py"}, "outside_root"),
    ],
)
async def test_what_is_refused(make, files, payload, code):
    with pytest.raises(Failure) as failed:
        await make(files=files, **payload)
    assert failed.value.code == code


async def test_a_model(make):
    good = "from shop.price import best\n\n\ndef test_best():\n    assert best([2, 1]) == 1\n"
    told = await make(
        {"content": "def test(:\n", "summary": ""},
        {"content": "import nothing_there\n", "summary": ""},
        {"content": good, "summary": "the best"},
        function="best",
    )
    assert (told["ok"], told["method"], told["changes"][told["path"]]) == (True, "model", good)
    assert "Imported as\nshop.price" in make.body.asked[0][1]["content"]
    assert "nothing_there" in make.body.asked[2][-1]["content"]


async def test_a_model_whose_tests_fail(make):
    bad = "from shop.price import best\n\n\ndef test_best():\n    assert best([2, 1]) == 3\n"
    told = await make(*[{"content": bad, "summary": "?"}] * 3, function="best")
    assert not told["ok"]
    assert "keep those that show a fault" in make.body.asked[1][-1]["content"]
