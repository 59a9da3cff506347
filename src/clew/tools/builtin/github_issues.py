"""``github_issues``: issues of the repositories that the project allows."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal, NamedTuple

import msgspec

from clew.core.errors import Failure
from clew.gate.ports.tool import Permissions, ToolContext, ToolSpec
from clew.manifest.compiled import ToolPlan
from clew.tools.builtin.declared import config_of, off, secret_of
from clew.tools.github.api import BASE_URL, PAGE, Api, base_of, mark_of, unmarked

Action = Literal["list", "get", "create", "update", "comment", "close"]

REPOSITORY = "^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,99})/[A-Za-z0-9._-]{1,100}$"
_ACTIONS: tuple[Action, ...] = ("list", "get", "create", "update", "comment", "close")
_READING = frozenset({"list", "get"})
_NEEDS = {
    "get": ("number",),
    "create": ("title",),
    "update": ("number",),
    "comment": ("number", "body"),
    "close": ("number",),
}
_CHANGES = ("title", "body", "labels", "assignees", "milestone", "state")
_BODY_LIMIT = 65_000
"""Characters: GitHub takes 65,536, the mark included."""
_SHOWN = 20_000
_MOST = 500
_PAGES = 30
"""Pages of a list that are read at most: where pull requests stand between few issues, there is no end to it."""
_LOOKED = 3
"""Pages of the newest issues (or comments) in which one that may have been made before is looked for."""
_UNSURE = frozenset({"http_timeout", "connection_failed", "bad_response", "github_error"})
"""After these nobody knows whether it was done."""
_EXAMPLE = "{repos: [owner/name], credential: github_token}"


class _Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    repos: tuple[str, ...] = ()
    credential: str = ""
    actions: tuple[Action, ...] = _ACTIONS
    base_url: str = BASE_URL


class GithubIssues:
    """As declared: ``config`` has ``repos``, ``credential``, ``actions`` and, for an Enterprise server, ``base_url``."""

    def __init__(self, plan: ToolPlan) -> None:
        self._config = config = config_of(_Config, "github_issues", plan)
        self._base = base_of("github_issues", config.base_url)
        self._on = plan.permissions.network and bool(config.repos and config.credential and config.actions)
        self.spec = _spec(config)

    async def call(self, args: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        if not self._on:
            raise off("github_issues", _EXAMPLE)
        action = args["action"]
        if missing := [name for name in _NEEDS.get(action, ()) if name not in args]:
            raise Failure(f"{action} needs {' and '.join(missing)}", code="invalid_arguments")
        repository = chosen(args.get("repo"), self._config.repos)
        api = Api(self._base, secret_of(context.secrets, self._config.credential))
        call = _Call(api, f"/repos/{repository}/issues", args, mark_of(context.idempotency_key))
        context.progress(None, f"{action} in {repository}")
        return {"action": action, "repo": repository, **await _PERFORM[action](call)}


class _Call(NamedTuple):
    api: Api
    issues: str
    args: dict[str, Any]
    mark: str

    @property
    def issue(self) -> str:
        return f"{self.issues}/{self.args['number']}"


def chosen(asked: str | None, allowed: tuple[str, ...]) -> str:
    """The repository that is meant. Raises Failure("repo_not_allowed"); names are compared as GitHub does, without case."""
    if asked is None and len(allowed) == 1:
        return allowed[0]
    for repository in allowed:
        if asked is not None and repository.lower() == asked.lower():
            return repository
    raise Failure(f"name one of these as `repo`: {', '.join(allowed)}", code="repo_not_allowed")


async def _list(call: _Call) -> dict[str, Any]:
    args, limit = call.args, call.args.get("limit", 50)
    labels = ",".join(args["labels"]) if args.get("labels") else None
    query = {
        "state": args.get("state", "open"),
        "labels": labels,
        "assignee": next(iter(args.get("assignees", [])), None),
    }
    found: list[dict[str, Any]] = []
    pages = 0
    async for page in call.api.pages(call.issues, sort="updated", direction="desc", **query):
        if len(found) > limit or pages == _PAGES:
            return {"issues": found[:limit], "truncated": True}
        found += [_issue(one, brief=True) for one in page if "pull_request" not in one]
        pages += 1
    return {"issues": found[:limit], "truncated": len(found) > limit}


async def _get(call: _Call) -> dict[str, Any]:
    issue, limit = await call.api.rest("GET", call.issue), call.args.get("limit", 50)
    comments: list[dict[str, Any]] = []
    if issue.get("comments", 0):
        async for page in call.api.pages(f"{call.issue}/comments"):
            comments += [_comment(one) for one in page]
            if len(comments) > limit:
                break
    return {"issue": _issue(issue), "comments": comments[:limit], "truncated": len(comments) > limit}


async def _create(call: _Call) -> dict[str, Any]:
    title = call.args["title"].strip()

    async def find() -> dict[str, Any] | None:
        looked = 0
        async for page in call.api.pages(call.issues, state="all", sort="created", direction="desc"):
            looked += 1
            for one in page:
                if call.mark in (one.get("body") or "") and one.get("title") == title:
                    return one
            if looked == _LOOKED:
                break
        return None

    fields = {name: call.args[name] for name in ("labels", "assignees", "milestone") if name in call.args}
    body = f"{call.args.get('body', '')}\n\n{call.mark}".lstrip()
    made, again = await _once(
        find, lambda: call.api.rest("POST", call.issues, {**fields, "title": title, "body": body})
    )
    return {"issue": _issue(made), "found_again": again}


async def _once(
    find: Callable[[], Awaitable[dict[str, Any] | None]], make: Callable[[], Awaitable[dict[str, Any]]]
) -> tuple[dict[str, Any], bool]:
    """What this very call has made, now or when it was begun before (True); looked for before and, if no answer comes, after."""
    found = await find()
    if found is not None:
        return found, True
    try:
        return await make(), False
    except Failure as failure:
        found = await find() if failure.code in _UNSURE else None
        if found is not None:
            return found, True
        hint = (
            "it may have been made all the same: look before you do it again"
            if failure.code in _UNSURE
            else failure.hint
        )
        raise Failure(failure.message, code=failure.code, details=failure.details, hint=hint) from None


async def _update(call: _Call) -> dict[str, Any]:
    changes = {name: call.args[name] for name in _CHANGES if name in call.args}
    if not changes or changes.get("state") == "all":
        raise Failure(f"update needs one of {', '.join(_CHANGES)}; state is open or closed", code="invalid_arguments")
    if changes.get("state") == "closed" and "reason" in call.args:
        changes["state_reason"] = call.args["reason"]
    return {"issue": _issue(await call.api.rest("PATCH", call.issue, changes))}


async def _close(call: _Call) -> dict[str, Any]:
    changes = {"state": "closed", "state_reason": call.args.get("reason", "completed")}
    return {"issue": _issue(await call.api.rest("PATCH", call.issue, changes))}


async def _comment_on(call: _Call) -> dict[str, Any]:
    path = f"{call.issue}/comments"

    async def find() -> dict[str, Any] | None:
        issue = await call.api.rest("GET", call.issue)
        last = -(-int(issue.get("comments", 0)) // PAGE) + 1  # one more, for those that came meanwhile
        for number in range(last, max(0, last - _LOOKED), -1):
            for one in await call.api.rest("GET", path, per_page=PAGE, page=number):
                if call.mark in (one.get("body") or ""):
                    return one
        return None

    body = f"{call.args['body']}\n\n{call.mark}"
    made, again = await _once(find, lambda: call.api.rest("POST", path, {"body": body}))
    return {"comment": _comment(made), "found_again": again}


_PERFORM = {"list": _list, "get": _get, "create": _create, "update": _update, "comment": _comment_on, "close": _close}


def _issue(one: dict[str, Any], *, brief: bool = False) -> dict[str, Any]:
    labels: list[Any] = one.get("labels") or []
    assignees: list[dict[str, Any]] = one.get("assignees") or []
    shown: dict[str, Any] = {
        "number": one["number"],
        "title": one["title"],
        "state": one["state"],
        "reason": one.get("state_reason"),
        "url": one["html_url"],
        "author": _field(one, "user", "login"),
        "labels": [label if isinstance(label, str) else label["name"] for label in labels],
        "assignees": [user["login"] for user in assignees],
        "milestone": _field(one, "milestone", "title"),
        "comments": one.get("comments", 0),
        "created": one["created_at"],
        "updated": one["updated_at"],
    }
    return shown if brief else {**shown, **_text(one)}


def _comment(one: dict[str, Any]) -> dict[str, Any]:
    author = _field(one, "user", "login")
    return {"id": one["id"], "url": one["html_url"], "author": author, "created": one["created_at"], **_text(one)}


def _field(one: dict[str, Any], name: str, inner: str) -> str | None:
    held: dict[str, Any] | None = one.get(name)
    return held[inner] if held else None


def _text(one: dict[str, Any]) -> dict[str, Any]:
    text = unmarked(one.get("body") or "")
    return {"body": text[:_SHOWN], **({"body_truncated": True} if len(text) > _SHOWN else {})}


_INPUTS: dict[str, Any] = {
    "repo": {"type": "string", "pattern": REPOSITORY, "description": "owner/name; needed where several are allowed"},
    "number": {"type": "integer", "minimum": 1, "description": "get, update, comment, close: the issue"},
    "title": {"type": "string", "minLength": 1, "maxLength": 256},
    "body": {"type": "string", "maxLength": _BODY_LIMIT, "description": "Markdown: the issue's text, or the comment's"},
    "labels": {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 50}, "maxItems": 100},
    "assignees": {"type": "array", "items": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,100}$"}, "maxItems": 10},
    "milestone": {"type": ["integer", "null"], "minimum": 1, "description": "Number of the milestone"},
    "state": {"enum": ["open", "closed", "all"], "description": "list: default open; update: open or closed"},
    "reason": {"enum": ["completed", "not_planned"], "description": "close: why (default completed)"},
    "limit": {
        "type": "integer",
        "minimum": 1,
        "maximum": _MOST,
        "default": 50,
        "description": "list, get: at most so many",
    },
}


def _spec(config: _Config) -> ToolSpec:
    reads = _READING.issuperset(config.actions)
    return ToolSpec(
        id="github_issues",
        description=(
            f"Issues on GitHub in {', '.join(config.repos) or 'no repository (the tool is off)'}. list: newest change first, by "
            "state, labels and the first of assignees, without bodies or pull requests. get: one issue with its comments. "
            "create (title, body, labels, assignees, milestone), update (the same and state; labels and assignees replace "
            "those there are), comment (body), close (reason). `found_again` says that an earlier try of the same call had "
            "made it already. Fails with invalid_arguments, repo_not_allowed, not_found, gone, forbidden, unauthorised, "
            "refused (`details` names the fields), rate_limited (`details.retry_after_ms`) or github_error."
        ),
        inputs={
            "type": "object",
            "properties": {"action": {"enum": list(config.actions)}, **_INPUTS},
            "required": ["action"],
            "additionalProperties": False,
        },
        outputs={
            "type": "object",
            "properties": {
                "action": {"type": "string"},
                "repo": {"type": "string"},
                "issue": {"type": "object", "required": ["number", "title", "state", "url", "body"]},
                "issues": {
                    "type": "array",
                    "items": {"type": "object", "required": ["number", "title", "state", "url"]},
                },
                "comment": {"type": "object", "required": ["id", "url", "body"]},
                "comments": {"type": "array", "items": {"type": "object", "required": ["id", "url", "body"]}},
                "found_again": {"type": "boolean"},
                "truncated": {"type": "boolean"},
            },
            "required": ["action", "repo"],
        },
        permissions=Permissions(network=True),
        risk="low" if reads else "high",
        repeat_safe=reads,
        mutates=not reads,
    )
