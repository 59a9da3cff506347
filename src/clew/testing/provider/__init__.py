"""A local HTTP server that speaks the protocols of model providers, by script: OpenAI Chat and Responses, Anthropic Messages,
Gemini generateContent, each plain and streamed, and the embeddings of OpenAI and Gemini, with the faults that real ones have.

Belongs here: the wire formats as providers document them, and ways to break them. Never here: a decision that a model
would take (a script does), the client's side of a format (``clew.models.adapters``). Standard library and msgspec only.

In a test: ``async with FakeProvider(Step(text="hello")) as fake: …``. As a process that outlives a killed client:
``python -m clew.testing.provider --script FILE --port-file FILE --log FILE``.
"""

from clew.testing.provider.script import Call, Seen, Step
from clew.testing.provider.server import FakeProvider

__all__ = ["Call", "FakeProvider", "Seen", "Step"]
