"""``project_status``: where the work of a GitHub project stands, and moving an issue to another status (Projects v2)."""

from typing import Any, Literal

import msgspec

from clew.core.errors import Failure
from clew.gate.ports.tool import Permissions, ToolContext, ToolSpec
from clew.manifest.compiled import ToolPlan
from clew.tools.builtin.declared import config_of, off, secret_of
from clew.tools.builtin.github_issues import REPOSITORY, chosen
from clew.tools.github.api import BASE_URL, Api, base_of

Action = Literal["summary", "list", "set"]

_ACTIONS: tuple[Action, ...] = ("summary", "list", "set")
_MOST = 500
_LOOKED = 5000
"""Items of a project that are counted at most."""
_NONE = "(none)"
_EXAMPLE = "{owner: acme, number: 1, repos: [acme/app], credential: github_token}"

PROJECT = """
query Project($owner: String!, $number: Int!, $field: String!) {
  repositoryOwner(login: $owner) {
    ... on ProjectV2Owner {
      projectV2(number: $number) {
        id title url closed
        field(name: $field) { ... on ProjectV2SingleSelectField { id options { id name } } }
      }
    }
  }
}"""
ITEMS = """
query Items($project: ID!, $field: String!, $after: String) {
  node(id: $project) {
    ... on ProjectV2 {
      items(first: 100, after: $after) {
        pageInfo { hasNextPage endCursor }
        nodes {
          id isArchived
          fieldValueByName(name: $field) { ... on ProjectV2ItemFieldSingleSelectValue { name } }
          content {
            __typename
            ... on Issue { number title url issue: state repository { nameWithOwner } }
            ... on PullRequest { number title url pull: state repository { nameWithOwner } }
            ... on DraftIssue { title }
          }
        }
      }
    }
  }
}"""
ISSUE = """
query Issue($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) { issue(number: $number) { id title url } }
}"""
ADD = """
mutation Add($project: ID!, $content: ID!) {
  addProjectV2ItemById(input: {projectId: $project, contentId: $content}) { item { id } }
}"""
SET = """
mutation Set($project: ID!, $item: ID!, $field: ID!, $option: String!) {
  updateProjectV2ItemFieldValue(
    input: {projectId: $project, itemId: $item, fieldId: $field, value: {singleSelectOptionId: $option}}
  ) { projectV2Item { id } }
}"""


class _Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    owner: str = ""
    number: int = 0
    repos: tuple[str, ...] = ()
    credential: str = ""
    field: str = "Status"
    actions: tuple[Action, ...] = _ACTIONS
    base_url: str = BASE_URL


class ProjectStatus:
    """As declared: ``config`` has ``owner`` and ``number`` of the project, ``credential``, ``repos`` whose issues may be moved,
    ``field`` (a single-select one), ``actions`` and ``base_url``."""

    def __init__(self, plan: ToolPlan) -> None:
        self._config = config = config_of(_Config, "project_status", plan)
        self._base = base_of("project_status", config.base_url)
        self._on = plan.permissions.network and bool(config.owner and config.number > 0 and config.credential)
        self.spec = _spec(config)

    async def call(self, args: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        if not self._on:
            raise off("project_status", _EXAMPLE)
        action = args["action"]
        if action == "set" and (missing := [name for name in ("number", "status") if name not in args]):
            raise Failure(f"set needs {' and '.join(missing)}", code="invalid_arguments")
        repository = chosen(args.get("repo"), self._config.repos) if action == "set" else ""
        api = Api(self._base, secret_of(context.secrets, self._config.credential))
        project = await self._project(api)
        shown = {"title": project["title"], "url": project["url"], "closed": project["closed"]}
        result: dict[str, Any] = {"action": action, "project": shown, "statuses": list(_options(project))}
        if action == "set":
            return {**result, "item": await _moved(api, project, repository, args)}
        items = await self._items(api, project, context)
        if action == "summary":
            counts = dict.fromkeys([*_options(project), _NONE], 0)
            for item in items:
                counts[item["status"]] = counts.get(item["status"], 0) + 1
            return {**result, "counts": counts}
        wanted = _status(args["status"], [*_options(project), _NONE]) if "status" in args else None
        items = [item for item in items if wanted in (None, item["status"])]
        limit = args.get("limit", 100)
        return {**result, "items": items[:limit], "truncated": len(items) > limit}

    async def _project(self, api: Api) -> dict[str, Any]:
        config = self._config
        data = await api.graphql(PROJECT, owner=config.owner, number=config.number, field=config.field)
        owner: dict[str, Any] = data["repositoryOwner"] or {}
        project: dict[str, Any] | None = owner.get("projectV2")
        if project is None:
            raise Failure(f"{config.owner} has no project {config.number} that the token may see", code="not_found")
        field: dict[str, Any] = project["field"] or {}
        if not field.get("options"):
            raise Failure(f"the project has no single-select field {config.field!r}", code="not_found")
        return project

    async def _items(self, api: Api, project: dict[str, Any], context: ToolContext) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        after: str | None = None
        while len(items) < _LOOKED:
            data = await api.graphql(ITEMS, project=project["id"], field=self._config.field, after=after)
            page = data["node"]["items"]
            items += [_item(node) for node in page["nodes"] if node and not node["isArchived"]]
            if not page["pageInfo"]["hasNextPage"]:
                return items
            after = page["pageInfo"]["endCursor"]
            context.progress(None, f"{len(items)} items read")
        raise Failure(f"the project has more than {_LOOKED} items", code="too_large")


async def _moved(api: Api, project: dict[str, Any], repository: str, args: dict[str, Any]) -> dict[str, Any]:
    """Adding what is there and setting what is set changes nothing, so all of this may be done again."""
    options = _options(project)
    status = _status(args["status"], list(options))
    owner, _, name = repository.partition("/")
    found: dict[str, Any] = (await api.graphql(ISSUE, owner=owner, name=name, number=args["number"]))[
        "repository"
    ] or {}
    issue: dict[str, Any] | None = found.get("issue")
    if issue is None:
        raise Failure(f"{repository} has no issue {args['number']}", code="not_found")
    added = await api.graphql(ADD, project=project["id"], content=issue["id"])
    item = added["addProjectV2ItemById"]["item"]["id"]
    await api.graphql(SET, project=project["id"], item=item, field=project["field"]["id"], option=options[status])
    return {
        "kind": "issue",
        "status": status,
        "title": issue["title"],
        "url": issue["url"],
        "repo": repository,
        "number": args["number"],
    }


def _options(project: dict[str, Any]) -> dict[str, str]:
    return {option["name"]: option["id"] for option in project["field"]["options"]}


def _status(asked: str, known: list[str]) -> str:
    found = next((name for name in known if name.lower() == asked.strip().lower()), None)
    if found is None:
        raise Failure(f"no status {asked[:100]!r}; there are: {', '.join(known)}", code="invalid_arguments")
    return found


_KINDS = {"Issue": "issue", "PullRequest": "pull_request", "DraftIssue": "draft"}


def _item(node: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = node["content"] or {}  # none: of a repository that the token may not see
    value: dict[str, Any] = node["fieldValueByName"] or {}
    item: dict[str, Any] = {
        "kind": _KINDS.get(content.get("__typename", ""), "hidden"),
        "status": value.get("name") or _NONE,
        "title": content.get("title", ""),
    }
    if "number" in content:
        item |= {"repo": content["repository"]["nameWithOwner"], "number": content["number"], "url": content["url"]}
        item["state"] = (content.get("issue") or content.get("pull") or "").lower()
    return item


def _spec(config: _Config) -> ToolSpec:
    reads = "set" not in config.actions
    where = f"project {config.number} of {config.owner}" if config.owner else "no project (the tool is off)"
    return ToolSpec(
        id="project_status",
        description=(
            f"Where the work stands in {where} on GitHub. summary: how many items have each status. list: the items, or those of "
            "one status. set: give an issue (repo, number) a status; it joins the project if it is not in it. `statuses` are the "
            "ones there are. Fails with invalid_arguments, repo_not_allowed, not_found, forbidden, unauthorised, refused, "
            "rate_limited (`details.retry_after_ms`) or github_error."
        ),
        inputs={
            "type": "object",
            "properties": {
                "action": {"enum": list(config.actions)},
                "status": {"type": "string", "minLength": 1, "maxLength": 100},
                "repo": {
                    "type": "string",
                    "pattern": REPOSITORY,
                    "description": "owner/name; needed where several are allowed",
                },
                "number": {"type": "integer", "minimum": 1, "description": "Of the issue"},
                "limit": {"type": "integer", "minimum": 1, "maximum": _MOST, "default": 100},
            },
            "required": ["action"],
            "additionalProperties": False,
        },
        outputs={
            "type": "object",
            "properties": {
                "action": {"type": "string"},
                "project": {"type": "object"},
                "statuses": {"type": "array", "items": {"type": "string"}},
                "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
                "items": {"type": "array", "items": {"type": "object", "required": ["kind", "status", "title"]}},
                "item": {"type": "object", "required": ["status", "url"]},
                "truncated": {"type": "boolean"},
            },
            "required": ["action", "project", "statuses"],
        },
        permissions=Permissions(network=True),
        risk="low" if reads else "medium",
        repeat_safe=True,
        mutates=not reads,
    )
