"""examples/basic-llm-agent, whole: what it says of a directory is true, with a model or without, and with one that lies."""

import ast
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from clew.core.errors import Failure
from clew.manifest.plan import load
from clew.models.catalog import catalog_of
from clew.runtime.handlers import Handlers
from clew.service.engine import open_project
from clew.testing import FakeProvider, ScriptedModel
from clew.testing.provider import Step

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "basic-llm-agent"
call = ScriptedModel.call


@pytest.fixture(scope="module")
def tool():
    """A tool of the example, called by hand."""
    handlers = Handlers(EXAMPLE)
    return lambda reference, **args: handlers.get(reference)[0](args, None)


@pytest.fixture
def small(tmp_path):
    """A project with one of everything."""
    files = {
        "README.md": "# Small\n\nA thing of 7 parts\nthat does nothing.\n\nMore.\n",
        "pyproject.toml": '[project]\nname = "small"\n[project.scripts]\nsmall = "small:main"\n',
        "src/small/__init__.py": 'import os, json as j\nfrom . import inner\nimport msgspec\nTEXT = """\nimport nothing\n"""\n',
        "src/small/inner.py": "from small import TEXT\nfrom msgspec import json\n",
        "tests/test_small.py": "import small\n\ndef test_one(): pass\nasync def test_two(): pass\ndef helper(): pass",
        "run.sh": "#!/bin/sh\necho find_me\n",
        ".git/config": "import secret\n",
        "__pycache__/x.py": "import cached\n",
    }
    for name, text in files.items():
        (tmp_path / "small" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "small" / name).write_text(text)
    (tmp_path / "small" / "data.bin").write_bytes(b"\0\1\2")
    (tmp_path / "small" / "passwords").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "small" / "pipe")
    return tmp_path / "small"


async def run(directory, question=None, models=None):
    """Status and output; the run is replayed, handlers too."""
    given = {"directory": str(directory)} | ({"question": question} if question else {})
    async with open_project(EXAMPLE, ":memory:", models=models) as engine:
        handle = await engine.start(given)
        result = await handle.result()
        assert (await engine.replay(result.run_id, handlers=True)).verdict == "identical"
        assert result.output is None or "root:x" not in json.dumps(result.output)
        return result


async def test_an_overview_without_a_model(small):
    result = await run(small)
    found = result.output
    assert (result.status, found["by"], found["verdict"], found["changed_meanwhile"]) == (
        "success",
        "offline",
        "accepted",
        False,
    )
    facts = found["facts"]
    assert facts["size"] == {
        "files": 7, "folders": 3, "links": 1, "bytes": sum(p.stat().st_size for p in counted(small)),
        "text_files": 6, "lines": 6 + 4 + 6 + 2 + 5 + 2, "binary_files": 1, "truncated": False,
    }  # fmt: skip
    assert [(x["language"], x["files"], x["lines"]) for x in facts["languages"]] == [
        ("Python", 3, 13), ("Markdown", 1, 6), ("TOML", 1, 4), ("Shell", 1, 2),
    ]  # fmt: skip
    used = {
        kind: [m["module"] for m in facts["imports"][kind]["most_used"]]
        for kind in ("local", "standard", "third_party")
    }
    assert used == {"local": ["small", "."], "standard": ["json", "os"], "third_party": ["msgspec"]}
    assert facts["tests"] == {"files": 1, "functions": 2, "first": ["tests/test_small.py"]}
    assert [(e["path"], e["why"]) for e in facts["entry_points"]["first"]] == [
        ("pyproject.toml", "declares the command small"),
        ("run.sh", "names its interpreter in its first line"),
    ]
    assert facts["purpose"] == {"path": "README.md", "title": "Small", "text": "A thing of 7 parts that does nothing."}
    assert facts["left_out"]["names"] == [".git", "__pycache__"]
    assert [f["topic"] for f in found["findings"]] == [
        "purpose", "size", "languages", "structure", "entry_points", "imports", "tests",
    ]  # fmt: skip
    assert found["unsupported"] == found["failed"] == found["unanswered"] == []
    assert found["numbers_checked"] > 20
    assert "Offline: no model was asked." in found["report"]


def counted(small):
    return [
        p
        for p in small.rglob("*")
        if p.is_file() and not p.is_symlink() and p.parent.name not in (".git", "__pycache__")
    ]


async def test_a_question_is_answered_as_far_as_it_can_be(small):
    question = "How many tests are there? Where is find_me? Who wrote it in anger? Is it secure?"
    found = (await run(small, question)).output
    statements = [f["statement"] for f in found["findings"]]
    assert statements[0].startswith("1 test file with 2 Python test functions")
    assert statements[1] == "“find_me” stands in 1 line of 1 file, with 6 text files searched; first at run.sh:2."
    assert [one.partition(" (")[0] for one in found["unanswered"]] == ["Who wrote it in anger?", "Is it secure?"]
    assert len(statements) == 2


async def test_an_empty_directory_and_one_without_code(tmp_path):
    found = (await run(tmp_path)).output
    assert found["facts"]["size"]["files"] == 0
    assert "There is no text file." in found["report"]
    (tmp_path / "notes").write_bytes(b"nothing to run \xff\xfe")
    (tmp_path / os.fsdecode(b"caf\xe9")).write_text("x")
    found = (await run(tmp_path, "What does it import? Where does it start?")).output
    assert "There are no Python files" in found["report"]
    assert "No entry point was recognised." in found["report"]
    assert found["facts"]["size"]["text_files"] == 2


@pytest.mark.parametrize(
    ("name", "code"),
    [("file", "not_a_directory"), ("missing", "not_found"), ("a\0b", "invalid_path"), ("x" * 300, "invalid_path")],
)
async def test_what_is_no_directory(tmp_path, name, code):
    (tmp_path / "file").write_text("x")
    result = await run(tmp_path / name)
    assert (result.status, result.error["code"]) == ("failure", code)


# -- with a model ----------------------------------------------------------------------------------------------------


def stages(tree, *, findings, worker=(), steps=()):
    """What a model says at the five stages. ``tree`` is read from what it is given."""
    hand_on = {"unanswered": []}
    drafted = {**hand_on, "findings": findings, "failed": []}
    said = [
        {**hand_on, "topics": ["size"], "terms": []},
        {**hand_on, "parts": [{"topic": "size", "ask": "How many?"}]},
        {**hand_on, "steps": list(steps)},
        *worker,
        drafted,
    ]
    said = [one if not isinstance(one, dict) else {**one, "tree": tree} for one in said]
    return [*said, {**drafted, "verdict": "accepted", "by": "model"}]


def ticket(tool, directory):
    return tool("tree:open_tree", directory=str(directory))["tree"]


async def test_a_number_that_is_no_fact_is_taken_out_though_the_reviewer_accepted_it(small, tool):
    findings = [
        {"topic": "size", "statement": "There are 7 files."},
        {"topic": "size", "statement": "There are 1,234 files."},
        {"topic": "tests", "statement": "There are 7 test files."},
        {"topic": "magic", "statement": "There are 2 of them."},
        {"topic": "text", "term": "find_me", "statement": "It stands in 1 file, at run.sh:2."},
        {"topic": "file", "term": "README.md", "statement": "The readme says 7 parts."},
        {"topic": "file", "term": "../../etc/passwd", "statement": "There are 0 secrets."},
    ]
    found = (await run(small, models=ScriptedModel(*stages(ticket(tool, small), findings=findings)))).output
    assert [f["statement"] for f in found["findings"]] == [findings[i]["statement"] for i in (0, 4, 5)]
    assert [(u["topic"], u["number"]) for u in found["unsupported"]] == [
        ("size", "1234"), ("tests", "7"), ("magic", "2"), ("file", "0"),
    ]  # fmt: skip
    assert "There are 1,234 files." in found["report"].partition("## Taken out")[2]
    assert (found["by"], found["verdict"]) == ("model", "accepted")


async def test_a_model_reaches_nothing_outside(small, tool, tmp_path):
    """It was talked into reading elsewhere: the tools say no, and the run goes on."""
    tree = ticket(tool, small)
    said = stages(
        tree,
        findings=[],
        worker=[
            [
                call("read_lines", tree="/etc#0123456789abcdef", path="passwd"),
                call("look", tree=str(small.parent), topic="size"),
                call("find_text", tree=tree.replace("small#", "#"), term="x"),
                call("read_lines", tree=tree, path="../outside"),
                call("read_lines", tree=tree, path="passwords"),
                call("read_lines", tree=tree, path="pipe"),
                call("read_lines", tree=tree, path="run.sh", start=2),
            ]
        ],
    )
    (tmp_path / "outside").write_text("secret")
    model = ScriptedModel(*said)
    result = await run(small, models=model)
    assert result.status == "success"
    told = [part.response for part in model.seen[4].messages[-1].parts]
    codes = [one["error"]["code"] for one in told[:-1]]
    assert codes == ["no_such_tree"] * 3 + ["outside_root"] * 2 + ["special_file"]
    assert told[-1]["text"] == "echo find_me\n"


async def test_over_http_the_plan_for_offline_is_not_sent(small, tool, tmp_path):
    tree = ticket(tool, small)
    project = shutil.copytree(EXAMPLE, tmp_path / "example", ignore=shutil.ignore_patterns("__pycache__"))
    said = stages(tree, findings=[{"topic": "size", "statement": "7 files"}])
    steps = [Step(text=json.dumps(answer)) for answer in said]
    async with FakeProvider(*steps) as fake:
        served = f'{{id: offline, type: openai_compatible, base_url: "{fake.url}/v1", prices: {{input: 1, output: 1}}}}'
        manifest = (project / "clew.yaml").read_text().replace("{id: offline, type: offline}", served)
        (project / "clew.yaml").write_text(manifest)
        async with open_project(project, ":memory:") as engine:
            result = await (await engine.start({"directory": str(small)})).result()
        assert [f["statement"] for f in result.output["findings"]] == ["7 files"]
        assert result.status == "success"
        assert not [seen for seen in fake.seen if "offline" in seen.body]


async def test_without_the_agents_there_are_still_the_facts(small):
    model = ScriptedModel(Failure("the key is wrong", code="unauthorised"))
    result = await run(small, "How big is it?", models=model)
    found = result.output
    assert (result.status, found["by"], found["verdict"]) == ("partial", "facts", "none")
    assert found["findings"][0]["statement"].startswith("7 files in 3 folders")
    assert found["unanswered"] == ["How big is it?"]
    assert "the key is wrong" in found["failed"][0]


def test_the_lines_for_a_real_model_are_complete(tmp_path):
    """Uncommented, the manifest compiles, and no agent is offline."""
    project = shutil.copytree(EXAMPLE, tmp_path / "example", ignore=shutil.ignore_patterns("__pycache__"))
    lines = (project / "clew.yaml").read_text().splitlines()
    real = [
        re.sub(r"^( *)# (?=thinker|- \{id: main,|provider_credentials|  - \{id: main_key)", r"\1", line)
        for line in lines
    ]
    kept = [line for line in real if "offline/plan" not in line and "type: offline" not in line]
    assert len(real) - len(kept) == 2
    (project / "clew.yaml").write_text("\n".join(kept))
    catalog = catalog_of(load(project))
    assert [choice.model for choice in catalog.models["thinker"].use] == ["main/gpt-5-mini"]
    assert catalog.providers["main"].credential == "main_key"


# -- the tools -------------------------------------------------------------------------------------------------------


def test_imports_are_what_the_parser_says(tool):
    for path in sorted((ROOT / "src").rglob("*.py")) + sorted((ROOT / "tests" / "core").glob("*.py")):
        wanted = set()
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                wanted |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                wanted.add("." * node.level + (node.module or "") if node.level else node.module.partition(".")[0])
        assert set(Handlers(EXAMPLE).get("sources:describe")[0]("x.py", path.read_bytes()).imports) == wanted, path


@pytest.mark.parametrize(
    ("question", "topics", "terms"),
    [
        ("How many lines of code?", ["size"], []),
        ("Which libraries does it depend on, and which files are largest?", ["size", "imports", "largest"], []),
        ("Where is `load_plan` used, and MyClass?", [], ["load_plan", "MyClass"]),
        ("", ["purpose", "size", "languages", "structure", "entry_points", "imports", "tests"], []),
        ("?!…", ["purpose", "size", "languages", "structure", "entry_points", "imports", "tests"], []),
        ("What is this project about?", ["purpose"], []),
    ],
)
def test_questions_are_read_by_their_words(tool, question, topics, terms):
    found = tool("topics:match_topics", question=question)
    assert (found["topics"], found["terms"], found["unanswered"]) == (topics, terms, [])


def test_numbers_in_texts_and_values(tool):
    numbers = Handlers(EXAMPLE).get("checking:numbers")[0]
    found = numbers(["1,234 and 1234.0", "v3.11", {"a7": 2.5, "b": True, "c": None}, [10]])
    assert {f"{n:f}" for n in found} == {"1234", "3.11", "7", "2.5", "10"}


def test_a_changed_file_is_counted_anew_and_the_digest_tells(tool, small):
    tree = ticket(tool, small)
    before = tool("survey:survey", tree=tree)
    assert tool("survey:survey", tree=tree) == before
    (small / "run.sh").write_text("#!/bin/sh\necho one\necho two\n")
    after = tool("survey:survey", tree=tree)
    assert (after["size"]["lines"] - before["size"]["lines"], after["digest"] == before["digest"]) == (1, False)
    finding = {"topic": "size", "statement": f"{before['size']['lines']} lines"}
    assert tool("checking:check_numbers", tree=tree, findings=[finding])["verdict"] == "rejected"
    assert tool("checking:check_numbers", tree=tree, findings=[finding], facts=before)["verdict"] == "accepted"


def test_names_and_lines_of_files_cannot_act(tool, tmp_path):
    (tmp_path / "a\n## Found\x1b[2J.py").write_text("import os")
    (tmp_path / "README").write_text("title \x1b]0;x\x07\n\nBody \u202e text\n")
    facts = tool("survey:survey", tree=ticket(tool, tmp_path))
    assert facts["structure"]["first_files"] == ["README", "a\\x0a## Found\\x1b[2J.py"]
    assert facts["purpose"] == {"path": "README", "title": "title \\x1b]0;x\\x07", "text": "Body \\x202e text"}


def test_what_is_too_large_is_said(tool, tmp_path):
    with (tmp_path / "huge.py").open("wb") as file:
        file.truncate(5 << 20)
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "package.json").write_text('{"bin": ' * 50_000)
    (tmp_path / "pyproject.toml").write_text("[project]\nscripts = 7\n")
    facts = tool("survey:survey", tree=ticket(tool, tmp_path))
    assert facts["left_out"]["too_large_to_read"] == 1
    assert facts["size"]["text_files"] == 3
    assert facts["entry_points"]["count"] == 0
    with pytest.raises(Failure, match="too large"):
        tool("looking:read_lines", tree=ticket(tool, tmp_path), path="huge.py")
