"""Each script of ``attacks`` tries one way out, inside, and says whether it was held."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clew.gate.ports.sandbox import ExecRequest
from clew.sandbox.runner import landlock

HERE = Path(__file__).parent
ATTACKS = sorted(path.stem for path in (HERE / "attacks").glob("*.py") if path.stem != "harness")

pytestmark = pytest.mark.sandbox


@pytest.mark.parametrize("preloaded", [False, True], ids=["started", "preloaded"])
@pytest.mark.parametrize("name", ATTACKS)
async def test_is_held(name, preloaded, arena, targets):
    result = await arena.attack((HERE / "attacks" / f"{name}.py").read_text(), preloaded=preloaded)
    assert targets.alive()
    if not arena.limits_kill or result.status == "OK":
        assert (result.status, result.rc) == ("OK", 0), (result.reason, result.stdout, result.stderr)
        assert result.stdout.startswith(b"held"), result.stdout
    else:
        assert result.reason.startswith(("more than", "used more than")), result


def test_there_are_enough():
    assert len(ATTACKS) >= 40


async def test_another_sandboxs_workspace(backend, arena):
    source = (HERE / "attacks" / "other_workspace.py").read_text()
    with backend.acquire(arena.sandbox._profile) as neighbour:
        neighbour.put("the-neighbours-secret", b"hush")
        there = ExecRequest(
            argv=("sh", "-c", "cp the-neighbours-secret /tmp; cp the-neighbours-secret /dev/shm; sleep 20")
        )
        task = asyncio.create_task(neighbour.execute(there))
        result = await arena.attack(source)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert result.stdout.startswith(b"held"), result


async def test_hard_link_is_not_written_through(arena):
    """The engine replaces a name in the workspace; it never writes to what else the name may stand for."""
    await arena.attack("import harness, os\nopen('a', 'w').write('kept')\nos.link('a', 'b')\n")
    arena.sandbox.put("b", b"new")
    assert (arena.sandbox.get("a"), arena.sandbox.get("b")) == (b"kept", b"new")


async def test_put_does_not_follow_a_link_out(arena):
    await arena.attack("import harness, os\nos.symlink('/tmp', 'dir')\nos.symlink('/etc/passwd', 'file')\n")
    with pytest.raises(Exception, match="leads out of the workspace"):
        arena.sandbox.put("dir/x", b"x")
    arena.sandbox.put("file", b"own")
    assert arena.sandbox.get("file") == b"own"
    assert not Path("/tmp/x").exists()


async def test_stopping_itself_does_not_stop_the_clock(arena):
    result = await arena.attack(
        "import harness, os, signal\nif os.fork() == 0:\n    os.setsid()\n    while True: pass\n"
        "os.kill(os.getpid(), signal.SIGSTOP)\n",
        wall_s=0.3,
    )
    assert result.status == "TIMEOUT"


async def test_processes_that_replace_each_other_are_all_killed(arena):
    mark = f"clew-hydra-{os.getpid()}"
    result = await arena.attack(
        "import harness, os, sys\n"
        f"code = 'import os, sys\\nwhile True:\\n  try:\\n    if os.fork() == 0: os.setsid()\\n    else: os._exit(0)\\n'"
        "'  except OSError: pass'\n"
        f"os.execv(sys.executable, [sys.executable, '-S', '-c', 'import os\\n'"
        f"'for _ in range(6): os.fork()\\n' + code, '{mark}'])\n",
        wall_s=1.0,
    )
    assert result.status in ("TIMEOUT", "CPU_LIMIT", "OK", *(("KILLED",) if arena.limits_kill else ()))
    assert not _running(mark)


def test_an_attack_refuses_to_run_on_the_host():
    for name in ATTACKS:
        script = HERE / "attacks" / f"{name}.py"
        assert "from harness import" in script.read_text()
    done = subprocess.run([sys.executable, "-c", "import harness"], cwd=HERE / "attacks", capture_output=True)
    assert done.returncode == 99
    assert b"refused" in done.stderr


async def test_memory_of_one_process(arena):
    result = await arena.attack(
        "import harness\nkeep = []\nwhile True:\n    keep.append(bytearray(b'x') * (1 << 20))\n"
    )
    assert result.status == "MEM_LIMIT"
    assert result.max_rss < 2 * arena.sandbox._profile.memory


async def test_memory_of_many_processes(arena):
    result = await arena.attack(
        "import harness, os, time\n"
        "for _ in range(8):\n"
        "    if os.fork() == 0:\n"
        "        keep = bytearray(b'x') * (60 << 20)\n"
        "        time.sleep(30)\n"
        "time.sleep(30)\n"
    )
    assert result.status == "MEM_LIMIT"


async def test_shared_memory_whose_toucher_is_gone(arena):
    result = await arena.attack(
        "import harness, mmap, os, time\n"
        "maps = [mmap.mmap(-1, 60 << 20) for _ in range(8)]\n"
        "for m in maps:\n"
        "    if os.fork() == 0:\n"
        "        for page in range(0, 60 << 20, 4096): m[page] = 1\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
        "time.sleep(30)\n"
    )
    assert result.status == "MEM_LIMIT"


async def test_shared_pages_after_fork_are_not_counted_twice(arena):
    result = await arena.attack(
        "import harness, os, time\n"
        "keep = bytearray(b'x') * (100 << 20)\n"
        "for _ in range(4):\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(0.2)\n"
        "        os._exit(0)\n"
        "for _ in range(4): os.wait()\n"
        "print('fine')\n"
    )
    assert (result.status, result.stdout) == ("OK", b"fine\n"), result


async def test_cpu_of_the_whole_tree(arena):
    result = await arena.attack(
        "import harness, os, signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\n"
        "for _ in range(3): os.fork()\nwhile True: pass\n"
    )
    assert result.status == "CPU_LIMIT"


async def test_cpu_of_children_that_nobody_reaps(arena):
    result = await arena.attack(
        "import harness, os, signal, time\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "while True:\n"
        "    if os.fork() == 0:\n"
        "        end = time.process_time() + 0.3\n"
        "        while time.process_time() < end: pass\n"
        "        os._exit(0)\n"
        "    try: os.wait()\n"
        "    except ChildProcessError: pass\n"
    )
    assert result.status == "CPU_LIMIT"


async def test_shared_memory_behind_thousands_of_mappings(arena):
    result = await arena.attack(
        "import harness, mmap, os, time\n"
        "os.makedirs('d' * 200 + '/' + 'd' * 200 + '/' + 'd' * 200)\n"
        "fd = os.open('d' * 200 + '/' + 'd' * 200 + '/' + 'd' * 200 + '/' + 'f' * 200, os.O_RDWR | os.O_CREAT)\n"
        "os.ftruncate(fd, 8192)\n"
        "maps = [mmap.mmap(fd, 4096, prot=1 + 2 * (n % 2)) for n in range(200)]\n"
        "maps += [mmap.mmap(-1, 4096, prot=1 + 2 * (n % 2)) for n in range(4000)]\n"
        "for _ in range(8):\n"
        "    m = mmap.mmap(-1, 60 << 20)\n"
        "    if os.fork() == 0:\n"
        "        for page in range(0, 60 << 20, 4096): m[page] = 1\n"
        "        os._exit(0)\n"
        "    maps.append(m)\n"
        "    os.wait()\n"
        "time.sleep(30)\n"
    )
    assert result.status == "MEM_LIMIT"


async def test_wall_clock_against_ignored_signals(arena):
    result = await arena.attack(
        "import harness, signal, time\n"
        "for n in range(1, 65):\n"
        "    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\n"
        "time.sleep(60)\n",
        wall_s=0.5,
    )
    assert result.status == "TIMEOUT"
    assert result.rc is None
    assert result.duration_ms < 3000


async def test_output_flood_is_cut_and_counted(arena):
    result = await arena.attack(
        "import harness, os\nblock = b'y' * 65536\nfor _ in range(800):\n    os.write(1, block)\n    os.write(2, block)\n"
    )
    assert (result.status, result.rc) == ("OK", 0)
    assert len(result.stdout) == len(result.stderr) == 64 * 1024
    assert result.stdout_dropped == result.stderr_dropped == 799 * 65536


async def test_no_process_is_left(arena):
    mark = f"clew-daemon-{os.getpid()}"
    result = await arena.attack(
        "import harness, os, sys, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        f"        os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(99)', '{mark}'])\n"
        "    os._exit(0)\n"
        "os.wait(); time.sleep(0.2); print('left')\n"
    )
    assert result.stdout == b"left\n"
    assert not _running(mark)


async def test_killed_by_the_filter_is_denied(arena):
    result = await arena.attack("import harness, os, signal\nos.kill(os.getpid(), signal.SIGSYS)\n")
    assert (result.status, result.rc) == ("DENIED", None)


async def test_link_in_the_workspace_leads_nowhere(arena):
    await arena.attack("import harness, os\nos.symlink('/etc/hostname', 'a')\nos.symlink('../../etc/hostname', 'b')\n")
    for name in ("a", "b"):
        with pytest.raises(Exception, match="leads out of the workspace"):
            arena.sandbox.get(name)


async def test_fifo_in_the_workspace_is_not_waited_for(arena):
    await arena.attack("import harness, os\nos.mkfifo('pipe')\n")
    started = time.monotonic()
    with pytest.raises(Exception, match="not a regular file"):
        arena.sandbox.get("pipe")
    assert time.monotonic() - started < 5


@pytest.mark.slow
@pytest.mark.parametrize("user", ["root", "an ordinary user"])
@pytest.mark.parametrize("tier", ["namespaces", "landlock"])
def test_held_in_every_tier_whoever_starts_the_engine(native, tier, user):
    """Each is another way into confinement, so all attacks once more (root has the first one above)."""
    if user == "an ordinary user" and os.geteuid() != 0:
        pytest.skip("only root can become another user")
    if tier == "landlock" and landlock.abi() < landlock.NEEDED_ABI:
        pytest.skip("this kernel's Landlock is too old")
    python = shutil.which(f"python{sys.version_info[0]}.{sys.version_info[1]}", path="/usr/bin:/usr/local/bin")
    if python is None:
        pytest.skip("no system interpreter of this version that an ordinary user may run")
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    source = Path(__file__).parents[3] / "src"
    who = {"user": 65534, "group": 65534, "extra_groups": []} if user == "an ordinary user" else {}
    done = subprocess.run(
        [python, "-B", str(HERE / "drive.py"), tier],
        env={"PYTHONPATH": f"{source}:{packages}"},
        cwd="/",
        **who,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == [word for name in ATTACKS for word in (name, "held")]


def _running(mark: str) -> bool:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark in (entry / "cmdline").read_text():
                    return True
            except OSError:
                continue
    return False
