"""Stores that a memory section may declare; what it may not is in ``broken/memory``."""

import pytest

from clew.manifest.plan import check
from clew.testing import one_node, write_project


@pytest.fixture
def found(tmp_path):
    """The messages about a memory section."""

    def checked(memory):
        manifest = one_node("demo", "handlers:work") + f"memory: {memory}\n"
        write_project(tmp_path, manifest, "def work(input, ctx):\n    return input\n")
        return [problem.message or problem.found for problem in check(tmp_path)]

    return checked


@pytest.mark.parametrize(
    "store",
    [
        "{}", "{backend: file, path: kept/here}", "{path: ./kept}", "{path: 'ä b'}", "{retention: {max_age: 1ms, max_size: 1B}}",
        "{retention: {max_age: 999999999999d, max_size: 999999999999TiB, max_items: 1000000000}}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["global_store", "task_store"])
def test_what_may_be_declared(found, kind, store):
    assert found(f"{{{kind}: {store}}}") == []


@pytest.mark.parametrize(
    "path", ["..", "a/../..", "/", "/a", ".", "./", "a\\\\..", "x" * 256, "ä" * 128, "a\\0b", "a\\nb"]
)
def test_a_path_stays_below_the_state_directory(found, path):
    (said,) = found(f'{{session_store: {{path: "{path}"}}}}')
    assert said.endswith("expected a folder below the state directory, such as context")


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("{backend: postgres}", '"postgres" is not available yet, expected sqlite or file'),
        ("{retention: {max_age: 0.1ms}}", "more than nothing"),
        ("{retention: {max_size: 0KiB}}", "more than nothing"),
    ],
)
def test_what_would_fail_in_a_run_is_said(found, store, said):
    (problem,) = found(f"{{project_store: {store}}}")
    assert said in problem


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        ("clerk", None),
        ("clrek", 'found "clrek", expected an agent of the agents section that has a model'),
        ("either", '"either" is a pool; name an agent that has a model'),
    ],
)
@pytest.mark.parametrize("section", ["extraction", "conversation", "merge"])
def test_who_reads_summarises_or_settles_is_an_agent_with_a_model(tmp_path, agent, said, section):
    manifest = one_node("demo", "handlers:work") + (
        "providers: [{id: p, type: openai}]\n"
        "agents: [{id: clerk, model: p/m}, {id: either, pool: [clerk]}]\n"
        f"memory: {{{section}: {{agent: {agent}}}}}\n"
    )
    write_project(tmp_path, manifest, "def work(input, ctx):\n    return input\n")
    problems = check(tmp_path)
    assert [str(problem.path) for problem in problems] == ([f"memory.{section}.agent"] if said else [])
    assert not said or said in str(problems[0])
    assert agent != "clrek" or problems[0].suggestion == "clerk"


@pytest.mark.parametrize("folder", ["models/small", "~nobody/small"])
def test_a_local_model_that_is_not_here_is_warned_of(found, folder):
    assert found(f"{{embedding: {{folder: {folder}}}}}") == [f'there is no folder "{folder}"']


def test_a_local_model_that_is_here(found, tmp_path):
    assert found(f"{{embedding: {{folder: {tmp_path}}}}}") == []
