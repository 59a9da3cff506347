"""A provider's models through Pydantic AI's model layer: one request, whole or streamed, with the end of a stream verified."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx2
from pydantic_ai import messages as theirs
from pydantic_ai.exceptions import UserError
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from clew.core.errors import Failure
from clew.gate.ports.model import Answered, Emit, ModelRequest
from clew.models.adapters.faults import failure_of
from clew.models.adapters.limits import rate_limit
from clew.models.adapters.messages import answer_of, history_of, usage_of
from clew.models.adapters.names import Names
from clew.models.adapters.settings import settings_of
from clew.models.adapters.wire import CURRENT, Exchange

SCHEMA_NAME = "answer"
Asked = tuple[list[theirs.ModelMessage], ModelSettings, ModelRequestParameters]


class ModelConnection:
    """Implements ``client.Connection``. ``make`` gives the library's model of a name; a request overrides ``defaults``."""

    def __init__(
        self,
        provider: str,
        http: httpx2.AsyncClient,
        make: Callable[[str], Model[Any]],
        *,
        defaults: ModelSettings | None = None,
        counts_streams: bool = False,
    ) -> None:
        self._provider, self._http, self._make, self._defaults = provider, http, make, defaults or ModelSettings()
        self._counts_streams = counts_streams
        """The provider always ends a stream with what was used: without it the end is missing."""
        self._models: dict[str, Model[Any]] = {}
        _ = make("any").profile  # loads what the library itself loads late, here in the thread that connects

    async def ask(self, model: str, request: ModelRequest, emit: Emit | None, key: str | None) -> Answered:
        exchange, names = Exchange(key), Names(request)
        token = CURRENT.set(exchange)
        try:
            response = await self._response(self._model(model), names.sent(request), emit)
            answer = names.received(answer_of(response))
        except Failure:
            raise
        except Exception as error:
            raise failure_of(error, self._provider, exchange) from None
        finally:
            CURRENT.reset(token)
        return Answered(answer=answer, usage=usage_of(response.usage), limit=rate_limit(exchange.headers))

    async def close(self) -> None:
        await self._http.aclose()

    def _model(self, name: str) -> Model[Any]:
        if name not in self._models:
            self._models[name] = self._make(name)
        return self._models[name]

    async def _response(self, model: Model[Any], request: ModelRequest, emit: Emit | None) -> theirs.ModelResponse:
        settings = self._defaults | settings_of(model, request.parameters, tools=bool(request.tools))
        params = _parameters(model, request)
        asked = history_of(request.messages), settings, params
        try:
            response = await self._sent(model, asked, emit)
        except UserError:
            if params.output_mode != "native" or CURRENT.get().status is not None:
                raise
            # refused before it was sent: a schema, or tools beside it, that this model's native output does not take
            response = await self._sent(model, (*asked[:2], replace(params, output_mode="prompted")), emit)
        if response.finish_reason is None and not (response.provider_details or {}).get("finish_reason"):
            raise Failure(f"provider {self._provider}: the answer broke off before its end", code="bad_answer")
        return response

    async def _sent(self, model: Model[Any], asked: Asked, emit: Emit | None) -> theirs.ModelResponse:
        if emit is None:
            return await model.request(*asked)
        async with model.request_stream(*asked) as stream:
            async for event in stream:
                match event:
                    case theirs.PartStartEvent(part=theirs.TextPart(content=said)) if said:
                        emit("text", said)
                    case theirs.PartStartEvent(part=theirs.ThinkingPart(content=said)) if said:
                        emit("reasoning", said)
                    case theirs.PartDeltaEvent(delta=theirs.TextPartDelta(content_delta=said)) if said:
                        emit("text", said)
                    case theirs.PartDeltaEvent(delta=theirs.ThinkingPartDelta(content_delta=said)) if said:
                        emit("reasoning", said)
                    case _:
                        pass
            response = stream.get()
        if self._counts_streams and CURRENT.get().status == 200 and not response.usage.has_values():
            raise Failure(f"provider {self._provider}: the stream broke off before its end", code="bad_answer")
        return response


def _parameters(model: Model[Any], request: ModelRequest) -> ModelRequestParameters:
    """A schema is enforced by the provider where it can (an object, by most of them), else described in the prompt."""
    tools = [
        ToolDefinition(
            name=tool.name,
            description=tool.description,
            parameters_json_schema=tool.parameters or {"type": "object", "properties": {}},
        )
        for tool in request.tools
    ]
    if request.schema is None:
        return ModelRequestParameters(function_tools=tools)
    native = model.profile.get("supports_json_schema_output", False) and request.schema.get("type") == "object"
    return ModelRequestParameters(
        function_tools=tools,
        output_mode="native" if native else "prompted",
        output_object=OutputObjectDefinition(json_schema=request.schema, name=SCHEMA_NAME),
    )
