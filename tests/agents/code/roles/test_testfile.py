"""What becomes a test, and that nothing else does."""

from clew.agents.code.roles import testfile


def test_nothing_from_the_sandbox_is_code():
    case = testfile.Case(arguments="(__import__('os').system('x'),)", result="1")
    error = testfile.Case(arguments="(1,)", raises="x); evil(")
    example = testfile.Example("f(1)", names=["f; evil"], want="1")
    one = testfile.chosen(testfile.Observed(cases=[case, error], examples=[example]), ["f"])
    assert one.cases == []
    assert "evil" not in testfile.rendered(testfile.Seen("m", functions={"f": one, "g(); evil": one}))


def test_the_cases_that_tell_most():
    cases = [testfile.Case(arguments=f"({n},)", result="0") for n in range(30)]
    cases[20] = testfile.Case(arguments="(20,)", new=True, result="0")
    cases[25] = testfile.Case(arguments="(25,)", raises="ValueError")
    kept = testfile.chosen(testfile.Observed(cases=cases), []).cases
    assert len(kept) == 12
    assert {"(20,)", "(25,)", "(0,)"} <= {case.arguments for case in kept}


def test_many_names():
    names = [f"a_function_with_a_long_name_{n}" for n in range(5)]
    one = testfile.Observed(cases=[testfile.Case(arguments="()", result="1")])
    text = testfile.rendered(testfile.Seen("m", functions=dict.fromkeys(names, one)))
    assert "from m import (\n    a_function_with_a_long_name_0,\n" in text
    compile(text, "m", "exec")
