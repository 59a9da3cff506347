"""Docker's own command: what a container is started with, what became of it, and how one that was left is removed."""

import csv
import io
import math
import os
import random
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import zipfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from clew.core.errors import Failure, UsageError
from clew.gate.ports.sandbox import MIB, Mount, Profile
from clew.sandbox.launch import unavailable

LABEL = "clew.engine"
_ANSWER_S = 20.0
_LAST_WORDS_S = 5.0
_PASSED_ON = (
    *("HOME", "PATH", "USER", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "SSH_AUTH_SOCK", "DOCKER_HOST", "DOCKER_CONTEXT"),
    *("DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_TLS", "DOCKER_API_VERSION"),
)
_BOOT = (
    "import os,sys;f=os.memfd_create('clew');n=int(sys.argv[1])\n"
    "while n:n-=os.write(f,os.read(0,n) or sys.exit(1))\n"
    "sys.path.insert(0,f'/proc/self/fd/{f}')\n"
    "from clew.sandbox.docker.agent import main;main()"
)
_TRAVELS = (
    "core/errors.py",
    "gate/beneath.py",
    "sandbox/workspace.py",
    "sandbox/docker/agent.py",
    "sandbox/docker/frames.py",
    "sandbox/runner/*.py",
)
_PACKAGES = ("", "core/", "gate/", "sandbox/", "sandbox/docker/")
_UIDS = (20_000, 60_000)
"""Each container has a user of its own from here: in every subordinate range, and RLIMIT_NPROC counts a user's tasks
over all containers."""
_RUNNER_BYTES = 192 * MIB
_RUNNER_TASKS = 1280
"""Above what the runner's own limits let a burst of processes reach, so that it is never the runner that cannot fork."""
_ENV = ("PATH=/usr/local/bin:/usr/bin:/bin", "PYTHONHASHSEED=0", "PYTHONPATH=", "PYTHONHOME=")
_HARDENED = (
    *("--rm", "--interactive", "--init", "--pull=never", "--network=none", "--ipc=none", "--read-only"),
    *("--cap-drop=ALL", "--security-opt=no-new-privileges", "--oom-score-adj=500", "--ulimit=core=0"),
    *("--log-driver=none", "--no-healthcheck", "--hostname=sandbox", "--workdir=/", "--sig-proxy=false"),
)
_TMPFS = "rw,nosuid,nodev,exec,mode=0700"
_INODE_BYTES = 4096
_NO_ENGINE = ("no Docker engine runs here", "start it, or set DOCKER_HOST")
_NO_IMAGE = ("the image {image} is not here", "docker pull {image}")
_NO_RUNTIME = ("the engine has no runtime {runtime}", "register it with the Docker engine, or choose none")
_MEANINGS = {
    "permission denied while trying to connect": (
        "this user may not talk to the Docker engine",
        "add the user to the group of its socket, or run a rootless engine",
    ),
    "Cannot connect to the Docker daemon": _NO_ENGINE,
    "failed to connect to the docker API": _NO_ENGINE,
    "No such image": _NO_IMAGE,
    "Unable to find image": _NO_IMAGE,
    "Unknown runtime specified": _NO_RUNTIME,
    "unknown or invalid runtime name": _NO_RUNTIME,
    '"python3": executable file not found': ("the image {image} has no python3", "name another, such as python:3-slim"),
    "bind source path does not exist": ("a mount is not there where the engine runs", "use an engine on this machine"),
}
_NOISE = ("WARNING", "Run 'docker", "See 'docker")


class Engine(NamedTuple):
    """How containers are started. ``runtime``: as the engine knows it (``runsc``, ``kata``); empty for its default."""

    command: str
    image: str
    runtime: str


class Container:
    """One that was asked for: the attached process, its name, and what Docker has complained about.

    The first that it reads is ``bundle``."""

    def __init__(self, engine: Engine, profile: Profile) -> None:
        self.name = f"clew-{os.urandom(8).hex()}"
        self._engine = engine
        argv = [engine.command, "run", *arguments(engine, profile, self.name), str(len(bundle()))]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this
        try:
            self.process = subprocess.Popen(  # noqa: S603 - found on this machine, arguments of our own
                argv,
                env=_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,
            )
        except OSError as error:
            self._errors.close()
            raise unavailable(f"{engine.command} cannot be started: {error.strerror}") from None

    def last_words(self) -> str:
        """What the command has said on its standard error, once its output has ended."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_LAST_WORDS_S)
        self._errors.seek(0)
        return self._errors.read(8192).decode("utf-8", "replace").strip()

    def remove(self) -> None:
        """Kill it, whether it is running, only made, or gone."""
        _docker(self._engine.command, "rm", "--force", self.name)

    def close(self) -> None:
        """After its end: forget the process."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_LAST_WORDS_S)
        self.process.kill()
        self.process.wait()
        self._errors.close()


def find_engine(image: str, runtime: str) -> Engine:
    """Raises Failure(code="sandbox_unavailable") where Docker is not installed, UsageError for what is no image's name."""
    if image.startswith("-"):
        raise UsageError(f"{image!r} is no image's name")
    command = shutil.which("docker")
    if command is None:
        raise unavailable("docker is not installed", "install it, or use the native surroundings")
    return Engine(command, image or f"python:{sys.version_info[0]}.{sys.version_info[1]}-slim", runtime)


def arguments(engine: Engine, profile: Profile, name: str) -> list[str]:
    """Of ``docker run``: one container for ``profile``, that reads the agent from its standard input."""
    uid = random.SystemRandom().randrange(*_UIDS)
    temporary = min(profile.workspace, 128 * MIB)
    memory = int(profile.memory * 1.25) + profile.workspace + temporary + _RUNNER_BYTES
    return [
        *_HARDENED,
        *([f"--runtime={engine.runtime}"] if engine.runtime else []),
        f"--name={name}",
        f"--label={LABEL}={_whoami()}",
        f"--user={uid}:{uid}",
        f"--memory={memory}",
        f"--memory-swap={memory}",
        f"--cpu-quota={max(1, math.ceil(profile.cpu_s / profile.wall_s)) * 100_000}",
        "--cpu-period=100000",
        f"--pids-limit={profile.processes + _RUNNER_TASKS}",
        *(f"--env={pair}" for pair in _ENV),
        f"--tmpfs=/workspace:{_tmpfs(profile.workspace, uid)}",
        f"--tmpfs=/tmp:{_tmpfs(temporary, uid)}",
        *(f"--mount={_bind(mount)}" for mount in profile.mounts),
        "--entrypoint=python3",
        engine.image,
        *("-s", "-S", "-P", "-B", "-c", _BOOT),
    ]


def explain(complaint: str, engine: Engine) -> Failure:
    """What an error of ``docker`` means, and the mend where there is a known one."""
    for needle, (message, hint) in _MEANINGS.items():
        if needle in complaint:
            fields = {"image": engine.image, "runtime": engine.runtime}
            return unavailable(message.format(**fields), hint.format(**fields))
    said = [line for line in complaint.splitlines() if line and not line.startswith(_NOISE)]
    line = said[-1].removeprefix("docker: ").removeprefix("Error response from daemon: ") if said else "no word of why"
    return unavailable(f"docker: {line[:300]}", "see `clew doctor`")


def sweep(engine: Engine) -> int:
    """Remove the containers of engines that are no more; how many there were. Raises Failure (sandbox_unavailable).

    They end by themselves when their standard input does; what is left are those that were killed before they began.
    Only engines of this machine and pid namespace can be told dead from alive, so others' are left alone.
    """
    listed = _docker(
        engine.command,
        "ps",
        "--all",
        "--no-trunc",
        f"--filter=label={LABEL}",
        f'--format={{{{.ID}}}} {{{{.Label "{LABEL}"}}}}',
    )
    if listed.returncode != 0:
        raise explain(listed.stderr.decode("utf-8", "replace"), engine)
    pairs = [line.split(" ", 1) for line in listed.stdout.decode("utf-8", "replace").splitlines() if " " in line]
    left = [container for container, owner in pairs if _is_dead(owner)]
    if left:
        _docker(engine.command, "rm", "--force", *left)
    return len(left)


def _docker(*argv: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603
            argv, env=_environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=_ANSWER_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise unavailable("the Docker engine does not answer") from None
    except OSError as error:
        raise unavailable(f"{argv[0]} cannot be started: {error.strerror}") from None


def _environment() -> dict[str, str]:
    """What Docker's command needs to find its engine, and no secrets of ours."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def _tmpfs(size: int, uid: int) -> str:
    return f"{_TMPFS},uid={uid},gid={uid},size={size},nr_inodes={max(1024, size // _INODE_BYTES)}"


def _bind(mount: Mount) -> str:
    """As ``--mount`` takes it (CSV). Raises Failure(code="sandbox_mount"), UsageError for what is no file or folder."""
    source = os.path.realpath(mount.source)
    try:
        mode = Path(source).stat().st_mode
    except OSError as error:
        raise Failure(f"mount {mount.source}: {error.strerror}", code="sandbox_mount") from None
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise UsageError(f"profile: mount {mount.source}: neither a file nor a directory")
    text = io.StringIO()
    fields = ["type=bind", f"src={source}", f"dst={mount.target or mount.source}", "readonly"]
    csv.writer(text, lineterminator="").writerow(fields)
    return text.getvalue()


@cache
def bundle() -> bytes:
    """The agent and what it imports, as an archive that Python imports from: the same files that lie here."""
    root = Path(__file__).parents[2]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for package in _PACKAGES:
            archive.writestr(f"clew/{package}__init__.py", "")
        for pattern in _TRAVELS:
            for path in sorted(root.glob(pattern)):
                archive.writestr(f"clew/{path.relative_to(root)}", path.read_bytes())
    return stream.getvalue()


@cache
def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return f"{socket.gethostname()}/-"


def _whoami() -> str:
    return f"{_machine()}/{os.getpid()}/{_started(os.getpid())}"


def _is_dead(owner: str) -> bool:
    machine, _, process = owner.rpartition("/")
    machine, _, pid = machine.rpartition("/")
    return machine == _machine() and not machine.endswith("/-") and pid.isdigit() and _started(int(pid)) != process


def _started(pid: int) -> str:
    """When a process began, in clock ticks since boot (proc_pid_stat(5)); empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19].decode()
    except OSError:
        return ""
