"""What a project's declaration says to a built-in tool: its ``config``, and whether it may reach the network."""

from typing import TypeVar

import msgspec

from clew.core.errors import Failure, UsageError
from clew.gate.ports.secrets import Secrets
from clew.manifest.compiled import ToolPlan

C = TypeVar("C", bound=msgspec.Struct)


def config_of(kind: type[C], tool: str, plan: ToolPlan) -> C:
    """Raises UsageError that names the key of ``config`` that is wrong."""
    try:
        return msgspec.convert(plan.config, type=kind)
    except msgspec.ValidationError as error:
        known = ", ".join(kind.__struct_fields__)
        raise UsageError(f"tool {tool!r}: config: {error}", hint=f"its keys are {known}") from None


def off(tool: str, example: str) -> Failure:
    """For a tool that nothing is allowed to, with what its declaration would need."""
    return Failure(
        f"{tool} is off in this project: its declaration allows nothing",
        code="tool_off",
        hint=f"declare it with permissions: {{network: true}} and config: {example}",
    )


def secret_of(secrets: Secrets | None, credential: str) -> str:
    """The credential's value, looked up now. Raises Failure("no_credential")."""
    if secrets is None:
        raise Failure(f"credential {credential!r}: there are no credentials here", code="no_credential")
    return secrets.value(credential)
