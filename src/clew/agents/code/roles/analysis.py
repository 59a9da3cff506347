"""StaticAnalysis: mistakes in Python files, found without running them, and mended on request (K6). Never needs a model."""

from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec

from clew.agents.code.roles.seat import OFFLINE, Json, Lint, Payload, Seat, understood
from clew.agents.code.roles.tree import copied, diff, placed, text_of
from clew.gate.ports.sandbox import SandboxBackend


class Task(Payload, frozen=True, kw_only=True):
    """``target``: a file or a folder. ``fix``: mend what can be mended without changing the meaning."""

    target: Annotated[str, msgspec.Meta(min_length=1)]
    fix: bool = False


async def work(payload: Json, seat: Seat) -> Json:
    """``{kind: analysis, target, severity, findings, suggestions, …}`` as the tool ``static_analysis`` gives it, and with ``fix``
    the delta and the changes. Raises Failure: ``not_found``, ``no_python``, ``no_ruff``, those of ``tree.placed``."""
    wanted = understood(Task, payload)
    found = await seat.do("analyse", partial(analyse, seat.lint), payload)
    fixed: dict[str, str] = found.pop("texts")
    result: Json = {"method": OFFLINE, **found, "target": placed(wanted.target), "changes": {**wanted.changes, **fixed}}
    if fixed:
        what = f"{len(fixed)} files mended by {found['engine']}"
        result["delta"] = {"doc": None, "diff": result.pop("diff"), "summary": what}
    return result


async def analyse(lint: Lint, backend: SandboxBackend, payload: Json) -> Json:
    """The job, on a copy: nothing of the repository is changed."""
    wanted = understood(Task, payload)
    target = placed(wanted.target)
    async with copied(wanted) as copy:
        found = await lint(backend, Path(copy.repo), target, fix=wanted.fix)
        texts = {path: text_of(copy, path) or "" for path in found.get("fixed", ())}
    if texts:
        found["diff"] = "".join(diff(path, text_of(wanted, path), text) for path, text in sorted(texts.items()))
    return {**found, "texts": texts}
