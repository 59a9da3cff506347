"""The ``docker`` surroundings: a container for every sandbox, the runner of ``native`` in it."""

import asyncio
import contextlib
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self

import msgspec

from clew.core.errors import Failure, UsageError
from clew.gate.ports.sandbox import MIB, Capabilities, ExecRequest, ExecResult, Profile
from clew.sandbox.docker.channel import Answer, Channel
from clew.sandbox.docker.container import Container, Engine, bundle, explain, find_engine, sweep
from clew.sandbox.docker.remote import RemoteWorkspace
from clew.sandbox.docker.verdicts import HELD_BY_CONTAINER, container_verdicts
from clew.sandbox.launch import unavailable
from clew.sandbox.native import check_profile
from clew.sandbox.verdicts import BROKEN, bare_verdicts, verdicts
from clew.sandbox.wire import decode, encode

TIERS = ("namespaces", "container")
"""Of the runner in the container, tried in this order: most engines forbid namespaces to what they hold, and leave it
Landlock."""
_START_S = 60.0
_SPARE_S = 30.0
"""How much later than the wall clock limit an answer may come before the container is given up."""
_END_S = 10.0
_HEADER_BYTES = 1 << 16
_PROBE_PROFILE = Profile(wall_s=10, cpu_s=5, memory=64 * MIB, processes=8, workspace=1 * MIB, file_size=8 * MIB)


class DockerBackend:
    """``SandboxBackend`` over the Docker engine that ``docker`` talks to. Thread-safe.

    ``image`` holds Python in the engine's version, as ``python3`` (default: Docker's official ``python:3.x-slim``), and
    is never pulled. ``runtime`` is a name that the engine knows (``runsc``, ``kata``); empty for its default.
    """

    def __init__(self, image: str = "", runtime: str = "") -> None:
        self._image = image
        self._runtime = runtime
        self._engine: Engine | None = None
        self._tier = TIERS[0]
        self._capabilities: Capabilities | None = None
        self._hint = "see `clew doctor`"
        self._lock = threading.Lock()

    def probe(self) -> Capabilities:
        """Remove what killed engines have left, start a container, try every layer from inside it.

        Once, or as often as it fails: an engine may be started and an image pulled while this process runs."""
        with self._lock:
            if self._capabilities is None:
                try:
                    found = self._try()
                except Failure as error:
                    self._hint = error.hint
                    return Capabilities(name="docker", usable=False, reason=error.message)
                if not found.usable:
                    return found
                self._capabilities = found
            return self._capabilities

    def acquire(self, profile: Profile) -> "DockerSandbox":
        """Open a sandbox (blocks for as long as a container takes to start; the first time also to probe).

        Raises Failure(code="sandbox_unavailable") when confinement cannot be had, Failure(code="sandbox_mount") when a
        mount cannot be shown, UsageError when the profile makes no sense.
        """
        check_profile(profile)
        capabilities = self.probe()
        if not capabilities.usable or self._engine is None:
            raise Failure(capabilities.reason, code="sandbox_unavailable", hint=self._hint)
        return DockerSandbox(self._engine, profile, (self._tier,))

    def _try(self) -> Capabilities:
        engine = find_engine(self._image, self._runtime)
        sweep(engine)
        with DockerSandbox(engine, _PROBE_PROFILE, TIERS) as sandbox:
            result = sandbox.measure()
        if result.status != "OK" or result.rc != 0:
            raise unavailable(result.reason or result.stderr.decode("utf-8", "replace") or f"it ended with {result.rc}")
        measured: dict[str, Any] = msgspec.json.decode(result.stdout)
        found = verdicts(measured, _PROBE_PROFILE) if sandbox.tier == "namespaces" else bare_verdicts(measured)
        holds = {"tier": sandbox.tier, "image": engine.image, **result.enforced, **found}
        broken = [f"{name}: {verdict}" for name, verdict in holds.items() if verdict.startswith(BROKEN)]
        self._engine, self._tier = engine, sandbox.tier
        return Capabilities(name="docker", usable=not broken, reason="; ".join(broken), holds=holds)


class DockerSandbox:
    """One container. Use from one event loop at a time; commands may run side by side."""

    def __init__(self, engine: Engine, profile: Profile, tiers: tuple[str, ...]) -> None:
        self._profile = profile
        self._engine = engine
        self._closed = self._ready = False
        self._container = Container(engine, profile)
        self._channel = Channel(self._container.process, self._why_it_ended)
        self._workspace = RemoteWorkspace(self._channel)
        try:
            self.tier, self._holds = self._start(tiers)
        except BaseException:
            self.close()
            raise
        self._ready = True

    async def execute(self, request: ExecRequest) -> ExecResult:
        """Run one command. Cancelling kills its whole tree, and waits until it is dead.

        Raises Failure(code="sandbox_lost") when the container is gone; one that goes meanwhile is an INTERNAL_ERROR.
        """
        message = encode(request, probe=False)
        number, answer = self._expect()
        loop = asyncio.get_running_loop()
        sending = loop.run_in_executor(None, self._send, number, {"op": "execute"}, message)
        seconds = min(request.wall_s or self._profile.wall_s, self._profile.wall_s) + _SPARE_S
        waiting = asyncio.wrap_future(answer)
        try:
            await asyncio.wait({waiting}, timeout=seconds)
        except asyncio.CancelledError:
            await _to_the_end(asyncio.ensure_future(self._cancel(number, sending, waiting)))
            raise
        if not waiting.done():
            await loop.run_in_executor(None, self._give_up)
        try:
            return self._read((await waiting)[1], request.argv)
        except Failure as error:
            return ExecResult(status="INTERNAL_ERROR", rc=None, reason=error.message, cmd=request.argv)

    def measure(self) -> ExecResult:
        """What the runner holds, tried from inside; the findings are JSON on stdout. Blocks."""
        argv = ("(measure)",)
        message = encode(ExecRequest(argv=argv), probe=True)
        answer = self._ask({"op": "execute"}, message, limit=2 * self._profile.output + _HEADER_BYTES)
        return self._read(answer[1], argv)

    def put(self, path: str, data: bytes) -> None:
        """Write a file. Raises UsageError when ``path`` leaves the workspace, Failure(code="workspace_full")."""
        self._workspace.put(path, data)

    def put_tree(self, source: Path, target: str = ".", *, ignore: tuple[str, ...] = ()) -> None:
        """Copy a directory into the workspace; see ``Sandbox.put_tree``."""
        self._workspace.put_tree(source, target, ignore)

    def get(self, path: str, limit: int = 16 * MIB) -> bytes:
        """Read a file. Raises NotFound, UsageError, Failure(code="too_large")."""
        return self._workspace.get(path, limit)

    def close(self) -> None:
        """Kill what still runs, and wait until the container is gone with all that it held."""
        if not self._closed:
            self._closed = True
            self._workspace.close()
            if not self._channel.finish(_END_S):
                self._give_up()
                self._channel.finish(_END_S)
            self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, tiers: tuple[str, ...]) -> tuple[str, dict[str, str]]:
        profile = self._profile
        limits = {name: getattr(profile, name) for name in Profile.__struct_fields__ if name != "mounts"}
        shown = [mount.target or mount.source for mount in profile.mounts]
        job = {"op": "start", "limits": limits, "mounts": [(path, path) for path in shown]}
        with contextlib.suppress(TimeoutError):  # then no answer comes
            self._channel.write(bundle(), wait_s=_START_S)
        refusals: list[str] = []
        for tier in tiers:
            said = self._ask({**job, "tier": tier})[0]
            if "facts" in said:
                found = container_verdicts(said["facts"])
                if broken := [f"{name}: {verdict}" for name, verdict in found.items() if verdict.startswith(BROKEN)]:
                    raise unavailable(
                        "; ".join(broken), f"the engine must hold what it is told; image {self._engine.image}"
                    )
                return tier, found if tier == "namespaces" else {**HELD_BY_CONTAINER, **found}
            if said["mount"]:
                raise Failure(said["refused"], code="sandbox_mount", hint=said["hint"])
            refusals.append(said["refused"])
        raise unavailable("; ".join(refusals), "Linux 6.12 with Landlock, or a runtime that allows user namespaces")

    def _send(self, number: int, header: dict[str, Any], message: bytes = b"") -> None:
        with contextlib.suppress(TimeoutError):  # then no answer comes, which has a time limit of its own
            self._channel.send(number, header, message, wait_s=_END_S)

    def _ask(self, header: dict[str, Any], data: bytes = b"", limit: int = 0) -> Answer:
        try:
            return self._channel.call(header, data, wait_s=_START_S, limit=limit)
        except TimeoutError:
            raise unavailable("the container does not answer") from None

    def _expect(self) -> tuple[int, "Future[Answer]"]:
        if self._closed:
            raise UsageError("the sandbox is closed")
        number, answer = self._channel.expect(2 * self._profile.output + _HEADER_BYTES)
        if answer.done():
            answer.result()  # raises
        return number, answer

    def _read(self, answer: bytes, argv: tuple[str, ...]) -> ExecResult:
        try:
            result = msgspec.convert(msgspec.structs.asdict(decode(answer, argv)), ExecResult)
        except (ValueError, TypeError, KeyError) as error:  # msgspec's own are ValueErrors
            return ExecResult(status="INTERNAL_ERROR", rc=None, reason=f"unreadable answer: {error}", cmd=argv)
        return msgspec.structs.replace(result, enforced={**result.enforced, **self._holds})

    async def _cancel(self, number: int, sending: "asyncio.Future[None]", waiting: "asyncio.Future[Answer]") -> None:
        loop = asyncio.get_running_loop()
        await asyncio.wait({sending}, timeout=_END_S)
        asking = loop.run_in_executor(None, self._send, 0, {"op": "cancel", "call": number})
        done, _ = await asyncio.wait({waiting}, timeout=_END_S)
        if not done:
            await loop.run_in_executor(None, self._give_up)
        await asyncio.wait({waiting, asking})
        if not waiting.cancelled():
            waiting.exception()  # whatever it was: nobody asks for it any more

    def _give_up(self) -> None:
        with contextlib.suppress(Failure):
            self._container.remove()
        self._container.process.kill()

    def _why_it_ended(self) -> Failure:
        complaint = self._container.last_words()
        if not self._ready:
            return explain(complaint, self._engine)
        reason = f"the sandbox's container is gone{': ' if complaint else ''}{complaint[-300:]}"
        return Failure(reason, code="sandbox_lost")


async def _to_the_end(task: "asyncio.Task[None]") -> None:
    """Further cancels wait for it too."""
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
