"""What Docker is told, and what is made of what it says."""

import csv
import os
import subprocess
import sys
import zipfile
from io import BytesIO

import pytest

from clew.core.errors import Failure
from clew.gate.ports.sandbox import MIB, Mount, Profile
from clew.sandbox.docker import container
from clew.sandbox.docker.container import Engine, arguments, explain, find_engine, sweep

ENGINE = Engine("docker", "image:1", "")
PROFILE = Profile()


def options(profile: Profile = PROFILE, engine: Engine = ENGINE) -> list[str]:
    given = arguments(engine, profile, "clew-1")
    return given[: given.index(engine.image)]


def value(name: str, given: list[str]) -> str:
    return next(option.partition("=")[2] for option in given if option.startswith(f"--{name}="))


def test_every_container_is_hardened():
    given = options()
    assert {
        "--rm",
        "--interactive",
        "--init",
        "--pull=never",
        "--network=none",
        "--ipc=none",
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--log-driver=none",
    } <= set(given)
    assert not any("docker.sock" in option or "privileged" in option or "unconfined" in option for option in given)
    uid, gid = map(int, value("user", given).split(":"))
    assert uid == gid >= 20_000
    assert f"uid={uid}," in value("tmpfs", given)


def test_limits_leave_room_for_the_runner():
    profile = Profile(memory=100 * MIB, workspace=8 * MIB, processes=10, cpu_s=30, wall_s=10)
    given = options(profile)
    memory = int(value("memory", given))
    assert memory == int(value("memory-swap", given)) > 141 * MIB
    assert int(value("pids-limit", given)) > 10 + 1024
    assert value("cpu-quota", given) == "300000"
    tmpfs = [option for option in given if option.startswith("--tmpfs=")]
    assert [option.split(":")[0] for option in tmpfs] == ["--tmpfs=/workspace", "--tmpfs=/tmp"]
    for option in tmpfs:
        assert {"nosuid", "nodev", f"size={8 * MIB}"} <= set(option.partition(":")[2].split(","))


def test_each_has_a_user_of_its_own():
    assert len({value("user", options()) for _ in range(20)}) > 15


def test_mounts_are_read_only_whatever_their_names(tmp_path):
    folder = tmp_path / 'a,b "c"=d'
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    given = options(Profile(mounts=(Mount(source=str(tmp_path / "link"), target="/there"), Mount(source=str(folder)))))
    mounts = [next(csv.reader([option.partition("=")[2]])) for option in given if option.startswith("--mount=")]
    assert mounts == [
        ["type=bind", f"src={folder}", "dst=/there", "readonly"],
        ["type=bind", f"src={folder}", f"dst={folder}", "readonly"],
    ]


def test_runtime_and_image_are_named():
    assert not any(option.startswith("--runtime") for option in options())
    assert value("runtime", options(engine=Engine("docker", "image:1", "runsc"))) == "runsc"


def test_the_default_image_has_this_python(docker):
    engine = find_engine("", "")
    assert engine.image == f"python:{sys.version_info[0]}.{sys.version_info[1]}-slim"
    assert engine.command == str(docker.directory / "docker")


def test_what_travels_imports_nothing_else():
    """Neither clew as it is installed nor its libraries are there."""
    names = zipfile.ZipFile(BytesIO(container.bundle())).namelist()
    assert {"clew/sandbox/docker/agent.py", "clew/sandbox/runner/supervisor.py", "clew/__init__.py"} <= set(names)
    code = (
        "import io,sys; data=sys.stdin.buffer.read(); import os; f=os.memfd_create('x'); os.write(f,data);"
        "sys.path.insert(0,f'/proc/self/fd/{f}'); import clew.sandbox.docker.agent; print(sorted(set(sys.modules)&{'msgspec'}))"
    )
    done = subprocess.run([sys.executable, "-S", "-I", "-c", code], input=container.bundle(), capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"[]\n", b"")


@pytest.mark.parametrize(
    ("complaint", "message", "hint"),
    [
        (
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
            "may not talk",
            "group",
        ),
        (
            "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?",
            "no Docker engine",
            "start it",
        ),
        ("failed to connect to the docker API at unix:///x", "no Docker engine", "DOCKER_HOST"),
        (
            "docker: Error response from daemon: No such image: image:1",
            "image image:1 is not here",
            "docker pull image:1",
        ),
        ("docker: Error response from daemon: Unknown runtime specified rt", "no runtime rt", "register"),
        ("docker: Error response from daemon: unknown or invalid runtime name: rt", "no runtime rt", "register"),
        ('exec: "python3": executable file not found in $PATH', "no python3", "python:3"),
        (
            "invalid mount config: bind source path does not exist: /x",
            "not there where the engine runs",
            "machine",
        ),
        ("WARNING: no swap\ndocker: Error: odd\n\nRun 'docker run --help' for more", "docker: Error: odd", "doctor"),
        ("", "no word", "doctor"),
    ],
)
def test_errors_are_explained(complaint, message, hint):
    failure = explain(complaint, Engine("docker", "image:1", "rt"))
    assert failure.code == "sandbox_unavailable"
    assert message in failure.message
    assert hint in failure.hint


def test_containers_of_dead_engines_are_swept(docker):
    mine = container._whoami()
    machine = container._machine()
    child = subprocess.Popen(["true"])
    child.wait()
    dead, reused = f"{machine}/{child.pid}/123", f"{machine}/{os.getpid()}/1"
    elsewhere = "another-boot/4026531836/1/1"
    docker.scenario(ps=f"a1 {mine}\nb2 {dead}\nc3 {reused}\nd4 {elsewhere}\ne5 \nf6 nonsense\ng7 {machine}/x/1")
    assert sweep(find_engine("", "")) == 2
    assert docker.calls("rm") == [["--force", "b2", "c3"]]
    docker.scenario(ps=f"a1 {mine}")
    assert sweep(find_engine("", "")) == 0
    assert len(docker.calls("rm")) == 1


def test_without_proc_nobody_is_swept(docker, monkeypatch):
    monkeypatch.setattr(container, "_machine", lambda: "host/-")
    docker.scenario(ps="a1 host/-/1/1")
    assert sweep(find_engine("", "")) == 0


def test_sweeping_tells_why_it_cannot(docker, monkeypatch):
    docker.scenario(say={"ps": "Cannot connect to the Docker daemon at unix:///x"})
    with pytest.raises(Failure, match="no Docker engine"):
        sweep(find_engine("", ""))
    monkeypatch.setattr(container, "_ANSWER_S", 0.3)
    docker.scenario(hang=["ps"])
    with pytest.raises(Failure, match="does not answer"):
        sweep(find_engine("", ""))
    with pytest.raises(Failure, match="cannot be started"):
        sweep(Engine("/no/docker", "i", ""))
    with pytest.raises(Failure, match="cannot be started"):
        container.Container(Engine("/no/docker", "i", ""), Profile())


def test_docker_is_told_nothing_secret(docker, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "hush")
    monkeypatch.setenv("DOCKER_HOST", "unix:///x")
    sweep(find_engine("", ""))
    environment = docker.environments()[0]
    assert environment["DOCKER_HOST"] == "unix:///x"
    assert "OPENAI_API_KEY" not in environment
