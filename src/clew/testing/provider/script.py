"""What a fake provider is told to answer, and what it was asked."""

import asyncio
import runpy
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from clew.gate.ports.model import Finish, Usage

Api = Literal["chat", "responses", "anthropic", "gemini", "embeddings", "gemini_embeddings"]


class Call(msgspec.Struct, frozen=True):
    """A tool call. ``arguments``: an object, or text that is sent as it is (no JSON, half a JSON …)."""

    name: str
    arguments: Any = {}
    id: str = ""


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One answer, or one fault. Times in ms of real time.

    What is said: ``reasoning``, then ``text`` (``refusal``: the text is one), then ``calls``; ``finish`` follows from these
    unless given; ``model`` is the one asked for unless given. ``chunk``: characters in one piece of a stream.

    Of embeddings: ``vectors``, in the order of the texts (else made from their words, of the ``dimensions`` asked for, or 8);
    ``shuffled``: they stand in the answer the other way round, with their places.

    How it breaks: ``status`` not 200 (an error body in the provider's form), ``body`` (sent as it is, or as JSON, in place of
    an answer), ``hang`` (nothing is sent until ``release``), ``reset`` (the connection is torn down), ``cut`` (only so many
    events of a stream, bytes of a plain answer, and then a proper end - or with ``reset`` none), ``stream_error`` (an
    error event with this text after ``cut`` events), ``hold`` (after so many events of a stream wait for ``release``).
    """

    text: str = ""
    refusal: bool = False
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    finish: Finish | None = None
    usage: Usage = Usage(input_tokens=10, output_tokens=5)
    model: str = ""
    vectors: tuple[tuple[float, ...], ...] = ()
    shuffled: bool = False
    chunk: int = 8
    status: int = 200
    headers: dict[str, str] = {}
    body: Any = None
    hang: bool = False
    reset: bool = False
    cut: int | None = None
    stream_error: str = ""
    hold: int | None = None
    delay_ms: int = 0
    first_token_ms: int = 0
    """Streamed: between the headers and the first event."""

    @property
    def ends(self) -> Finish:
        return self.finish or ("content_filter" if self.refusal else "tool_call" if self.calls else "stop")

    def pieces(self, text: str) -> list[str]:
        return [text[at : at + self.chunk] for at in range(0, len(text), self.chunk)]


@dataclass
class Seen:
    """A request as it came. ``number`` counts from 1; ``left`` is set when the client goes away before it has its answer."""

    number: int
    api: Api | None
    path: str
    headers: dict[str, str]
    body: Any
    raw: bytes = b""
    left: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def streamed(self) -> bool:
        if self.api == "gemini":
            return ":streamGenerateContent" in self.path
        return self.asks("stream") is True

    def model(self, step: Step) -> str:
        if step.model:
            return step.model
        if self.api in ("gemini", "gemini_embeddings"):
            return self.path.rpartition("/")[2].partition(":")[0]
        return str(self.asks("model"))

    def asks(self, name: str) -> Any:
        """A field of the body; None: there is none, or no object."""
        body: Any = self.body
        return body.get(name) if isinstance(self.body, dict) else None

    def line(self) -> bytes:
        """The request as a line of a log."""
        shown = {"number": self.number, "api": self.api, "path": self.path, "headers": self.headers, "body": self.body}
        return msgspec.json.encode(shown) + b"\n"


Script = Callable[[Seen], Step]
"""What to answer, by the request alone: a client that asks again after a crash is answered as before."""


def over(seen: Seen) -> Step:
    return Step(status=400, body={"error": {"message": f"the script is over at request {seen.number}"}})


def script_of(file: Path) -> tuple[list[Step], Script | None]:
    """Of a ``.py`` its function ``answer(seen)``, which returns a ``Step``; of anything else the steps, a JSON list."""
    if file.suffix == ".py":
        return [], runpy.run_path(str(file))["answer"]
    return msgspec.json.decode(file.read_bytes(), type=list[Step]), None


def arguments_text(call: Call) -> str:
    return call.arguments if isinstance(call.arguments, str) else msgspec.json.encode(call.arguments).decode()
