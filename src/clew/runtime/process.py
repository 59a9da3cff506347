"""``isolation: process``: a handler in a process of its own, where it can be killed.

The child (``child.py``) has the same ``ctx``, but every call travels to the body here, over one socket, as JSON lines; effects
that are functions of the handler are performed in the child when the gate says so. It inherits neither environment nor files.
"""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from clew.core.errors import ClewError, Failure, Interrupt, Suspended, described
from clew.runtime.ctx import BodyView, Ctx

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "VIRTUAL_ENV")
_LINE = 64 * 1024 * 1024
_AWAITED = frozenset(["call", "model", "agent", "ask", "sleep", "run", "search", "remember", "merge", "forget"])
"""Methods of ``ctx`` that are the same here as in the child."""


class Processes:
    """Starts one child per body."""

    def __init__(self, project: Path) -> None:
        self._project = project

    async def run(self, body: BodyView, reference: str, value: Any) -> Any:
        """The handler's output. Raises Failure as the handler does, or with code ``crashed_process`` where the child died."""
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "clew.runtime.child", str(theirs.fileno()),
                pass_fds=(theirs.fileno(),), stdin=asyncio.subprocess.DEVNULL,
                env={k: v for k in _KEPT if (v := os.environ.get(k)) is not None}, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            ours.close()
            raise Failure(f"no process for {reference!r}: {error}", code="error") from None
        finally:
            theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours, limit=_LINE)
        talk = _Conversation(Ctx(body), reader, writer)
        try:
            start = {"project": str(self._project), "handler": reference, "input": value, "ids": _ids(body)}
            return await talk.hold(start)
        except (EOFError, ConnectionError):
            code = await process.wait()
            raise Failure(f"the process of {reference!r} ended with {_ended(code)}", code="crashed_process") from None
        finally:
            if process.returncode is None:
                _kill(process)
            await process.wait()
            writer.close()
            await talk.stop()


def _ids(body: BodyView) -> dict[str, Any]:
    return {
        "run_id": body.run, "task_id": body.task, "node_id": body.node, "attempt": body.attempt, "seed": body.seed,
        "context": body.context,
    }  # fmt: skip


def _ended(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _kill(process: asyncio.subprocess.Process) -> None:
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        return


class _Conversation:
    def __init__(self, ctx: Ctx, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._parts = {"": ctx}
        self._reader, self._writer = reader, writer
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._calls: set[asyncio.Task[None]] = set()
        self._interrupt: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def hold(self, start: dict[str, Any]) -> Any:
        self._send(start)
        listen = asyncio.get_running_loop().create_task(self._listen())
        try:
            await asyncio.wait({listen, self._interrupt}, return_when=asyncio.FIRST_COMPLETED)
            if self._interrupt.done():
                interrupt = self._interrupt.result()
                while isinstance(interrupt, Suspended) and self._calls and not listen.done():  # they settle first
                    await asyncio.wait({listen, *self._calls}, return_when=asyncio.FIRST_COMPLETED)
                raise interrupt
            return await listen
        finally:
            listen.cancel()
            await asyncio.gather(listen, return_exceptions=True)

    async def _listen(self) -> Any:
        while True:
            line = await self._reader.readline()
            if not line:
                raise EOFError
            message: dict[str, Any] = json.loads(line)
            if "result" in message:
                return message["result"]
            if "failure" in message:
                raise _failure(message["failure"])
            if "performed" in message:
                self._performed(message)
            else:
                call = asyncio.get_running_loop().create_task(self._call(message))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)

    def _performed(self, message: dict[str, Any]) -> None:
        future = self._asked.pop(message["performed"])
        if "error" in message:
            future.set_exception(_failure(message["error"]))
        else:
            future.set_result(message["value"])

    async def _call(self, message: dict[str, Any]) -> None:
        ident = message["id"]
        try:
            ctx = self._part(message["part"])
            method, args, options = message["method"], message["args"], message["options"]
            if method == "effect":
                name, *rest = args
                value = await ctx.effect(name, self._remote(ident), *rest, **options)
            elif method == "now":
                value = ctx.now()
            elif method == "log":
                value = ctx.log(*args, **options)
            elif method in _AWAITED:
                value = await getattr(ctx, method)(*args, **options)
            else:
                raise Failure(f"ctx has no {method!r}", code="error")
            self._send({"id": ident, "value": value})
        except Interrupt as interrupt:
            if not self._interrupt.done():
                self._interrupt.set_result(interrupt)
        except ClewError as error:
            details = error.details if isinstance(error, Failure) else None
            self._send({"id": ident, "error": {"code": error.code, "message": str(error), "details": details}})
        except Exception as error:  # of arguments that make no sense: the child waits for an answer
            self._send({"id": ident, "error": {"code": "error", "message": described(error), "details": None}})

    def _part(self, path: str) -> Ctx:
        if path not in self._parts:
            parent, _, name = path.rpartition("/")
            self._parts[path] = self._part(parent).part(name)
        return self._parts[path]

    def _remote(self, ident: int) -> Any:
        async def perform(*_args: Any, idempotency_key: str = "") -> Any:
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            self._asked[ident] = future
            self._send({"perform": ident, "key": idempotency_key})
            return await future

        return perform

    def _send(self, message: dict[str, Any]) -> None:
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def stop(self) -> None:
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)


def _failure(error: dict[str, Any]) -> Failure:
    return Failure(str(error.get("message", "")), code=str(error.get("code", "error")), details=error.get("details"))
