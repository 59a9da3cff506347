"""The process behind ``isolation: process``: ``python -m clew.runtime.child FD``. Speaks with ``process.py``; dies with it."""

import asyncio
import contextvars
import ctypes
import inspect
import json
import os
import random
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from clew.core.errors import ClewError, Failure
from clew.core.identity import body_key, digest
from clew.runtime import memory
from clew.runtime.ctx import SyncCtx
from clew.runtime.handlers import Handlers

_PR_SET_PDEATHSIG = 1
_KILL = 9
_LINE = 64 * 1024 * 1024

_path: contextvars.ContextVar[str] = contextvars.ContextVar("clew_child_part", default="")


class _Link:
    """One socket to the engine."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._functions: dict[int, Callable[[str], Awaitable[Any]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0

    async def receive(self) -> dict[str, Any]:
        line = await self._reader.readline()
        if not line:
            os._exit(1)  # the engine is gone; nobody could take a result
        return json.loads(line)

    async def send(self, message: dict[str, Any]) -> None:
        self._writer.write(json.dumps(message).encode() + b"\n")
        await self._writer.drain()

    async def listen(self) -> None:
        while True:
            message = await self.receive()
            if "perform" in message:
                task = asyncio.get_running_loop().create_task(self._perform(message["perform"], message["key"]))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            elif "error" in message:
                error = message["error"]
                failure = Failure(error["message"], code=error["code"], details=error["details"])
                self._answers.pop(message["id"]).set_exception(failure)
            else:
                self._answers.pop(message["id"]).set_result(message["value"])

    async def request(self, method: str, args: list[Any], options: dict[str, Any], fn: Any = None) -> Any:
        self._count += 1
        ident = self._count
        self._answers[ident] = answer = asyncio.get_running_loop().create_future()
        if fn is not None:
            self._functions[ident] = fn
        await self.send({"id": ident, "part": _path.get(), "method": method, "args": args, "options": options})
        return await answer

    async def _perform(self, ident: int, key: str) -> None:
        try:
            await self.send({"performed": ident, "value": await self._functions[ident](key)})
        except Exception as error:
            await self.send({"performed": ident, "error": _error(error)})


class ChildCtx:
    """``ctx`` at the far end of the socket; see ``clew.runtime.ctx.Ctx`` for what each name does."""

    def __init__(self, link: _Link, ids: dict[str, Any], path: str = "") -> None:
        self._link, self._ids, self._own = link, ids, path
        self.run_id, self.task_id, self.node_id = ids["run_id"], ids["task_id"], ids["node_id"]
        self.attempt, self.context = ids["attempt"], ids["context"]
        key = body_key(self.task_id, self.node_id, self.attempt)
        self.random = random.Random(digest([ids["seed"], key, path and path + "."]))  # noqa: S311 - derived, not secret
        self._groups = 0

    async def _ask(self, method: str, args: list[Any], options: dict[str, Any], fn: Any = None) -> Any:
        token = _path.set(self._own) if self._own else None
        try:
            return await self._link.request(method, args, options, fn)
        finally:
            if token:
                _path.reset(token)

    async def call(self, tool: str, args: dict[str, Any] | None = None) -> Any:
        return await self._ask("call", [tool, args], {})

    async def model(self, model: str, messages: list[dict[str, Any]], **parameters: Any) -> Any:
        return await self._ask("model", [model, messages], parameters)

    async def agent(self, name: str, input: Any = None) -> Any:  # noqa: A002 - the word of the contract
        return await self._ask("agent", [name, input], {})

    async def effect(self, name: str, fn: Callable[..., Any], *args: Any, **options: Any) -> Any:
        async def perform(key: str) -> Any:
            extra = {"idempotency_key": key} if "idempotency_key" in inspect.signature(fn).parameters else {}
            if inspect.iscoroutinefunction(fn):
                return await fn(*args, **extra)
            return await asyncio.to_thread(fn, *args, **extra)

        return await self._ask("effect", [name, *args], options, perform)

    async def ask(self, question: str, schema: dict[str, Any] | None = None, **options: Any) -> Any:
        return await self._ask("ask", [question, schema], options)

    async def sleep(self, duration: str | float) -> None:
        await self._ask("sleep", [duration], {})

    async def run(self, workflow: str, input: Any = None) -> Any:  # noqa: A002 - the word of the contract
        return await self._ask("run", [workflow, input], {})

    async def search(
        self, text: str, *, scope: str | Sequence[str] = "project", **options: Any
    ) -> list[dict[str, Any]]:
        return await self._ask(
            "search", [], memory.asked("search", {"text": text, "scope": memory.scopes(scope), **options})
        )

    async def remember(
        self, id: str, text: str, metadata: dict[str, Any] | None = None, **options: Any  # noqa: A002 - as above
    ) -> int:  # fmt: skip
        return await self._ask(
            "remember", [], memory.asked("remember", {"id": id, "text": text, "metadata": metadata, **options})
        )

    async def merge(
        self, id: str, text: str, metadata: dict[str, Any] | None = None, **options: Any  # noqa: A002 - as above
    ) -> dict[str, Any]:  # fmt: skip
        return await self._ask(
            "merge", [], memory.asked("merge", {"id": id, "text": text, "metadata": metadata, **options})
        )

    async def forget(self, *ids: str, **options: Any) -> None:
        await self._ask("forget", memory.asked("forget", {"ids": ids})["ids"], memory.asked("forget", options))

    async def gather(self, *work: Awaitable[Any] | Callable[[], Awaitable[Any]]) -> list[Any]:
        self._groups += 1
        tasks: list[asyncio.Task[Any]] = []
        for i, item in enumerate(work):
            context = contextvars.copy_context()
            context.run(_path.set, f"{_path.get() or self._own}/g{self._groups}.{i}".strip("/"))
            tasks.append(asyncio.get_running_loop().create_task(_await(item), context=context))
        results = await asyncio.gather(*tasks, return_exceptions=True)  # all settle, as in Ctx.gather
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return list(results)

    def part(self, name: str) -> "ChildCtx":
        return ChildCtx(self._link, self._ids, f"{self._own}/{name}".strip("/"))

    def in_thread(self, call: Callable[[], Any]) -> Awaitable[Any]:
        return asyncio.to_thread(call)

    async def now(self) -> int:
        return await self._ask("now", [], {})

    async def log(self, message: str, **fields: Any) -> None:
        await self._ask("log", [message], fields)


async def _await(work: Awaitable[Any] | Callable[[], Awaitable[Any]]) -> Any:
    return await (work() if callable(work) else work)


def _error(error: Exception) -> dict[str, Any]:
    if isinstance(error, ClewError):
        details = error.details if isinstance(error, Failure) else None
        return {"code": error.code, "message": str(error), "details": details}
    return {"code": "error", "message": f"{type(error).__name__}: {error}", "details": None}


async def _main(fd: int) -> None:
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=fd), limit=_LINE)
    link = _Link(reader, writer)
    job = await link.receive()
    listening = asyncio.get_running_loop().create_task(link.listen())
    ctx = ChildCtx(link, job["ids"])
    try:
        handler, asynchronous = Handlers(Path(job["project"])).get(job["handler"])
        if asynchronous:
            result = await handler(job["input"], ctx)
        else:
            loop = asyncio.get_running_loop()
            sync = SyncCtx(ctx, lambda work: asyncio.run_coroutine_threadsafe(work, loop).result())
            result = await asyncio.to_thread(handler, job["input"], sync)
        dump = getattr(result, "model_dump", None)
        await link.send({"result": dump(mode="json") if callable(dump) else result})
    except Exception as error:
        await link.send({"failure": _error(error)})
    listening.cancel()
    os._exit(0)  # threads of the handler must not keep the process


def main() -> None:
    """Entry point. Asks the kernel to be killed when the engine dies."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _KILL)
    if os.getppid() == parent:
        asyncio.run(_main(int(sys.argv[1])))


if __name__ == "__main__":
    main()
