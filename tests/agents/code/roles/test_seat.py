"""A model that may look before it answers: in the repository, with the changes, by tools that read, within its steps (K6)."""

import json

import pytest

from clew.agents.code.roles import codegen, debug, planning, review, testgen
from clew.agents.code.roles.seat import MOST_SHOWN, STEPS, Payload, Question, understood
from clew.core.errors import Failure

FILES = {
    "src/sums.py": "from units import one\n\n\ndef total(values):\n    return sum(values[one():])\n",
    "src/units.py": "def one():\n    return 1\n",
    "README.md": "# sums\n",
    ".env": "KEY=hidden-word\n",
    ".git/config": "[remote]\n",
}
SCHEMA = {"type": "object", "properties": {"said": {"type": "string"}}, "required": ["said"]}


@pytest.fixture
def ask(repo, seat):
    """``ask(*answers)``: what came of them, its seat's body as ``ask.body``."""

    async def perform(*answers, take=None, mendable=("wrong",), **payload):
        place = seat(*answers)
        perform.body = place.body
        wanted = understood(Payload, {"repo": str(repo(FILES)), "model": "coder", **payload})
        question = Question(agent="Debug", prompt="debug", about={"Task": "find it"}, schema=SCHEMA, mendable=mendable)

        async def as_it_is(answer, _left):
            return answer["said"]

        return await place.ask(wanted, question, take or as_it_is)

    return perform


def replies(body):
    """What the tools gave back, call by call."""
    return [part["response"] for message in body.said if message["role"] == "tool" for part in message["parts"]]


def flat(body):
    return [json.dumps(reply) for reply in replies(body)]


async def test_it_looks_before_it_answers(ask):
    said = await ask(
        [("list_files", {})],
        [("search_files", {"query": "def one"})],
        [("read_file", {"path": "src/units.py"})],
        {"said": "one is 1"},
    )
    assert said == "one is 1"
    assert ask.body.did == ask.body.offered == ["list_files", "search_files", "read_file"]
    listed, found, text = replies(ask.body)
    assert [one["path"] for one in listed["entries"]] == ["README.md", "src", "src/sums.py", "src/units.py"]
    assert [one["path"] for one in found["matches"]] == ["src/units.py"]
    assert text["text"] == FILES["src/units.py"]
    system, user = ask.body.asked[0]
    assert system["content"].startswith("You find out why tests")
    assert "nothing outside of it can be reached" in system["content"]
    assert user["content"] == "## Task\nfind it"


async def test_a_wrong_call_is_corrected(ask):
    said = await ask(
        [("write_file", {"path": "a", "content": ""}), ("read_file", {"file": "src/units.py"})],
        [("read_file", {"path": "src/units.py"})],
        {"said": "seen"},
    )
    assert said == "seen"
    assert ask.body.did == ["read_file"]
    unknown, invalid, right = flat(ask.body)
    assert "there is no tool 'write_file'; there are: list_files, search_files, read_file" in unknown
    assert "invalid_arguments" in invalid
    assert "return 1" in right


@pytest.mark.parametrize(
    ("tool", "path", "code"),
    [
        ("read_file", "../outside.txt", "outside_root"),
        ("read_file", "/etc/passwd", "outside_root"),
        ("read_file", "link", "outside_root"),
        ("list_files", "..", "outside_root"),
        ("search_files", "src/../..", "outside_root"),
        ("read_file", ".env", "forbidden_path"),
        ("read_file", "src/../.git/config", "forbidden_path"),
        ("list_files", ".git", "forbidden_path"),
    ],
)
async def test_nothing_outside_and_nothing_hidden_is_read(ask, repo, tool, path, code):
    top = repo(FILES)
    (top.parent / "outside.txt").write_text("secret of another")
    (top / "link").symlink_to(top.parent / "outside.txt")
    arguments = {"path": path, **({"query": "e"} if tool == "search_files" else {})}
    assert await ask([(tool, arguments)], {"said": "no"}) == "no"
    (reply,) = flat(ask.body)
    assert f'"code": "{code}"' in reply, reply
    assert "secret of another" not in reply


@pytest.mark.parametrize(
    "changes", [{}, {"src/units.py": "def one():\n    return 0\n"}], ids=["as it is", "with changes"]
)
async def test_hidden_files_are_not_found(ask, changes):
    await ask(
        [("search_files", {"query": "hidden-word"}), ("list_files", {"all": True})], {"said": ""}, changes=changes
    )
    found, listed = flat(ask.body)
    assert "hidden-word" not in found
    assert ".git" not in listed
    assert ".env" not in listed


async def test_what_is_read_has_the_changes_in_it(ask, repo):
    changes = {"src/units.py": "def one():\n    return 0\n", "src/new.py": "NEW = 1\n"}
    await ask(
        [
            ("read_file", {"path": "src/units.py"}),
            ("search_files", {"query": "NEW"}),
            ("read_file", {"path": "README.md"}),
        ],
        {"said": ""},
        changes=changes,
    )
    units, found, readme = flat(ask.body)
    assert "return 0" in units
    assert "src/new.py" in found
    assert "# sums" in readme
    assert not (repo({}) / "src/new.py").exists()


async def test_an_answer_that_cannot_be_used_goes_back_into_the_same_conversation(ask):
    tries = []

    async def take(answer, left):
        tries.append((answer["said"], left))
        if left:
            raise Failure(f"not {answer['said']}", code="wrong")
        return answer["said"]

    answers = [[("read_file", {"path": "src/units.py"})], {"said": "a"}, {"said": "b"}, {"said": "c"}]
    assert await ask(*answers, take=take) == "c"
    assert tries == [("a", 2), ("b", 1), ("c", 0)]
    last = ask.body.asked[-1]
    assert [m["role"] for m in last] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    assert last[5]["content"].startswith("This cannot be used: not a")
    with pytest.raises(Failure) as failed:
        await ask(*answers, take=take, mendable=())
    assert failed.value.code == "wrong"


async def test_it_comes_to_an_end(ask):
    turns = [[("search_files", {"query": f"word {n}"})] for n in range(STEPS)]
    with pytest.raises(Failure) as failed:
        await ask(*turns)
    assert failed.value.code == "limit_steps"
    assert len(ask.body.asked) == STEPS
    assert "This is your last turn" in ask.body.asked[-1][-1]["content"]


async def test_long_sections_are_cut(seat, repo):
    place = seat({"said": ""})
    question = Question(agent="A", prompt="debug", about={"Tests": "x" * (MOST_SHOWN + 7), "None": ""}, schema=SCHEMA)

    async def take(answer, left):
        return left

    assert await place.ask(Payload(repo=str(repo({})), model="m"), question, take) == 2
    asked = place.body.asked[0][1]["content"]
    assert asked.endswith("x\n[cut: 7 characters more]")
    assert "None" not in asked


LOOK = [("read_file", {"path": "src/units.py"})]
CAUSE = {"diagnosis": "d", "target": "src/units.py", "instructions": "i"}
MILESTONE = {"title": "t", "done_when": "d", "files": []}
EDITS = [{"old": "return 1", "new": "return 0"}]
TEST = "from units import one\n\n\ndef test():\n    assert one() == 1\n"


@pytest.mark.parametrize(
    ("work", "payload", "answer"),
    [
        (codegen.work, {"action": "modify", "target": "src/units.py"}, {"summary": "", "edits": EDITS}),
        (debug.work, {"errorLog": "x", "patch": False}, CAUSE),
        (review.work, {}, {"summary": "fine", "findings": []}),
        (planning.work, {"goal": "g"}, {"summary": "s", "milestones": [MILESTONE]}),
        (testgen.work, {"target": "src/units.py"}, {"summary": "", "content": TEST}),
    ],
    ids=["CodeGen", "Debug", "DesignReview", "Planning", "TestGen"],
)
async def test_every_agent_with_a_model_may_look(seat, repo, python, work, payload, answer):
    place = seat(LOOK, answer)
    told = await work({"repo": str(repo(FILES)), "python": python, "model": "coder", **payload}, place)
    assert told["method"] == "model"
    assert "read_file" in place.body.did
    assert len(place.body.asked) == 2
