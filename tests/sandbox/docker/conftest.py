"""A command called ``docker`` that starts the agent without any container, notes its calls and fails as it is told."""

import json
import os
import sys
from pathlib import Path

import pytest

from clew.sandbox.docker.backend import DockerBackend

GOOD = {
    "python": list(sys.version_info[:2]),
    "Uid": "20001",
    "CapPrm": "0",
    "CapEff": "0",
    "CapBnd": "0",
    "CapAmb": "0",
    "CapInh": "0",
    "NoNewPrivs": "1",
    "Seccomp": "2",
    "interfaces": ["lo"],
    "root": "read-only",
    "memory": "1000000",
    "tasks": "100",
}
SCRIPT = """#!{python} -S
import json, os, signal, sys, time
here = os.path.dirname(os.path.abspath(__file__))
def note(name, text):
    with open(here + "/" + name, "a") as file:
        file.write(text + "\\n")
note("calls", json.dumps(sys.argv[1:]))
note("environment", json.dumps(dict(os.environ)))
with open(here + "/scenario") as file:
    scenario = json.load(file)
command = sys.argv[1]
if command in scenario.get("hang", ()):
    note("pid", str(os.getpid()))
    time.sleep(600)
if command in scenario.get("say", {{}}):
    sys.exit(scenario["say"][command])
if command == "ps":
    print(scenario.get("ps", ""))
if command == "rm" and os.path.exists(here + "/pid"):
    with open(here + "/pid") as file:
        for pid in file.read().split():
            try: os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError: pass
if command == "run":
    note("pid", str(os.getpid()))
    code, size = sys.argv[-2:]
    code = code.replace("import main;main()", "import main")
    code += "\\nimport clew.sandbox.docker.agent as a\\na.facts = lambda: " + repr(scenario["facts"])
    if "refuse" in scenario:
        code += "\\na._Agent._start = lambda self, job: " + repr(scenario["refuse"])
    code += "\\na.main()"
    os.execve(sys.executable, [sys.executable, *sys.argv[-7:-2], code, size], {{"PYTHONHASHSEED": "0"}})
"""


class FakeDocker:
    """``directory`` holds the command; what it was called with lies beside it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        command = directory / "docker"
        command.write_text(SCRIPT.format(python=os.path.realpath(sys.executable)))
        command.chmod(0o755)
        self.scenario()

    def scenario(self, **fields) -> None:
        """``say``: command -> error text; ``hang``: commands; ``ps``: its output; ``facts``: what differs from good;
        ``refuse``: what the runner says instead of starting."""
        fields["facts"] = GOOD | fields.get("facts", {})
        (self.directory / "scenario").write_text(json.dumps(fields))

    def calls(self, command: str) -> list[list[str]]:
        file = self.directory / "calls"
        calls = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [call[1:] for call in calls if call[0] == command]

    def environments(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in (self.directory / "environment").read_text().splitlines()]

    def processes(self) -> list[int]:
        return [int(line) for line in (self.directory / "pid").read_text().split()]


@pytest.fixture
def docker(tmp_path, monkeypatch) -> FakeDocker:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return FakeDocker(tmp_path)


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    """One that has been probed, over a fake that nothing is asked of but to run."""
    directory = tmp_path_factory.mktemp("docker")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
        FakeDocker(directory)
        backend = DockerBackend("image:1")
        capabilities = backend.probe()
        if not capabilities.usable:
            pytest.skip(f"no confinement on this machine: {capabilities.reason}")
        yield backend
