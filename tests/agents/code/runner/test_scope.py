import pytest

from clew.agents.code.runner.scope import editable, split_node_id


@pytest.mark.parametrize(
    "name", ["a.py", "src/pkg/b.py", "contest/c.py", "latest/d.py", "pkg/testing/e.py", "attest.py"]
)
def test_code_may_be_edited(name):
    assert editable(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "tests/a.py",
            "test/a.py",
            "pkg/tests/deep/helper.py",
            "test_a.py",
            "pkg/a_test.py",
            "conftest.py",
            "setup.py",
        ),
        *("python_testcases/node.py", "unit_tests/x.py", "tests_slow/x.py", "a.txt", ".hidden/a.py"),
        "lib/site-packages/a.py",
    ],
)
def test_tests_and_what_supports_them_may_not(name):
    assert not editable(name)


def test_a_file_with_tests_is_not_edited_whatever_its_name():
    assert not editable("pkg/checks.py", {"pkg/checks.py"})


def test_node_ids():
    assert split_node_id("a/b.py::C::test[x::y]") == ("a/b.py", "C::test[x::y]")
    assert split_node_id("a/b.py") == ("a/b.py", "")
