"""A GitHub on the loopback: the shapes of its REST and GraphQL answers, as its documentation shows them."""

import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest

TOKEN = "s3cret-token-of-a-test"


class GitHub:
    def __init__(self, site):
        self.site = site
        site.answer = self._answer
        self.issues = []
        self.comments = {}
        self.options = {"Todo": "f75ad846", "In Progress": "47fc9ee4", "Done": "98236657"}
        self.items = []
        self.page = 2
        """Entries of a page, whatever is asked for."""
        self.refusal = None
        """What everything is answered by."""

    def asked(self, method=None):
        return [
            (m, path, json.loads(body) if body else None) for m, path, _, body in self.site.asked if method in (None, m)
        ]

    def add(self, title, body=None, **fields):
        number = len(self.issues) + 1
        user = {"login": "octocat", "id": 1, "type": "User", "site_admin": False}
        issue = {
            "id": 1000 + number, "node_id": f"I_{number}", "number": number, "title": title, "body": body, "user": user,
            "url": f"{self.site.url}/repos/acme/app/issues/{number}", "html_url": f"https://github.com/acme/app/issues/{number}",
            "state": "open", "state_reason": None, "labels": [{"id": 1, "name": "bug", "color": "f00", "default": True}],
            "assignees": [user], "assignee": user, "milestone": None, "locked": False, "comments": 0, "closed_at": None,
            "created_at": "2026-11-22T10:00:00Z", "updated_at": "2026-11-22T10:00:00Z", "author_association": "OWNER", **fields,
        }  # fmt: skip
        self.issues.append(issue)
        return issue

    def comment(self, number, body):
        made = {
            "id": 5000 + len(self.comments.setdefault(number, [])), "node_id": "IC_1", "body": body, "user": {"login": "octocat"},
            "html_url": f"https://github.com/acme/app/issues/{number}#issuecomment-1", "created_at": "2026-11-22T11:00:00Z",
            "updated_at": "2026-11-22T11:00:00Z", "author_association": "OWNER",
        }  # fmt: skip
        self.comments[number].append(made)
        self.issues[number - 1]["comments"] += 1
        return made

    def _answer(self, method, path, headers, body):
        if self.refusal is not None:
            return self.refusal
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {
                "message": "Bad credentials",
                "documentation_url": "https://docs.github.com/rest",
                "status": "401",
            }
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        content = json.loads(body) if body else {}
        if parts.path == "/graphql":
            return self._graphql(content["query"], content["variables"])
        if parts.path.startswith("/repos/acme/old/"):
            return 301, {"message": "Moved Permanently"}, [("Location", path.replace("old", "app"))]
        found = re.fullmatch(r"/repos/acme/app/issues(?:/(\d+))?(/comments)?", parts.path)
        if not found or (found[1] and int(found[1]) > len(self.issues)):
            return 404, {"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"}
        number = int(found[1] or 0)
        if found[2]:
            return self._comments(method, number, query, content, parts.path)
        return self._issues(method, number, query, content, parts.path)

    def _issues(self, method, number, query, content, path):
        if method == "POST":
            if "label-that-is-refused" in content.get("labels", []):
                error = {"value": "x", "resource": "Label", "field": "name", "code": "invalid"}
                return 422, {"message": "Validation Failed", "errors": [error], "status": "422"}
            return 201, self.add(content["title"], content["body"])
        if method == "PATCH":
            issue = self.issues[number - 1]
            issue.update({k: v for k, v in content.items() if k in ("title", "body", "state", "state_reason")})
            return 200, issue
        if number:
            return 200, self.issues[number - 1]
        state = query.get("state", "open")
        return self._paged([i for i in reversed(self.issues) if state in ("all", i["state"])], query, path)

    def _comments(self, method, number, query, content, path):
        if method == "POST":
            return 201, self.comment(number, content["body"])
        return self._paged(self.comments.get(number, []), query, path)

    def _paged(self, entries, query, path):
        number = int(query.get("page", 1))
        size = min(self.page, int(query.get("per_page", 30)))
        rest = "&".join(f"{name}={value}" for name, value in query.items() if name != "page")
        last = -(-len(entries) // size)
        links = []
        if number > 1:
            links.append(f'<{self.site.url}{path}?{rest}&page={number - 1}>; rel="prev"')
        if number < last:
            links.append(f'<{self.site.url}{path}?{rest}&page={number + 1}>; rel="next"')
            links.append(f'<{self.site.url}{path}?{rest}&page={last}>; rel="last"')
        return 200, entries[(number - 1) * size : number * size], [("Link", ", ".join(links))] if links else []

    # -- Projects v2 -------------------------------------------------------------------------------------------

    def _graphql(self, query, variables):
        name = re.search(r"(?:query|mutation) (\w+)", query)[1]
        answer = getattr(self, f"_{name.lower()}")(**variables)
        return 200, answer if "errors" in answer else {"data": answer}

    def _project(self, owner, number, field):
        if owner != "acme":
            return {"repositoryOwner": None}
        if number != 1:
            error = {
                "type": "NOT_FOUND",
                "path": ["repositoryOwner", "projectV2"],
                "message": f"Could not resolve to {number}",
            }
            return {"data": {"repositoryOwner": {"projectV2": None}}, "errors": [error]}
        options = [{"id": key, "name": name} for name, key in self.options.items()]
        project = {"id": "PVT_1", "title": "Roadmap", "url": "https://github.com/orgs/acme/projects/1", "closed": False}
        project["field"] = (
            {"id": "PVTSSF_1", "options": options} if field == "Status" else {} if field == "Title" else None
        )
        return {"repositoryOwner": {"projectV2": project}}

    def put(self, kind="Issue", number=1, status=None, archived=False):
        content = {"__typename": kind, "title": f"{kind} {number}"}
        if kind != "DraftIssue":
            content |= {"number": number, "url": f"https://github.com/acme/app/issues/{number}"}
            content |= {"issue" if kind == "Issue" else "pull": "OPEN", "repository": {"nameWithOwner": "acme/app"}}
        value = {"name": status} if status else None
        node = {"id": f"PVTI_{len(self.items)}", "isArchived": archived, "fieldValueByName": value}
        self.items.append({**node, "content": content if kind != "hidden" else None})

    def _items(self, project, field, after):
        start = int(after or 0)
        end = start + self.page
        info = {"hasNextPage": end < len(self.items), "endCursor": str(end)}
        return {"node": {"items": {"pageInfo": info, "nodes": self.items[start:end]}}}

    def _issue(self, owner, name, number):
        if number > len(self.issues):
            return {
                "data": {"repository": None},
                "errors": [{"type": "NOT_FOUND", "message": "Could not resolve to an Issue"}],
            }
        issue = self.issues[number - 1]
        return {"repository": {"issue": {"id": issue["node_id"], "title": issue["title"], "url": issue["html_url"]}}}

    def _add(self, project, content):
        number = int(content.removeprefix("I_"))
        known = next((i for i in self.items if i and i["content"] and i["content"].get("number") == number), None)
        if known is None:
            self.put("Issue", number)
            known = self.items[-1]
        return {"addProjectV2ItemById": {"item": {"id": known["id"]}}}

    def _set(self, project, item, field, option):
        node = next(i for i in self.items if i and i["id"] == item)
        node["fieldValueByName"] = {"name": next(n for n, key in self.options.items() if key == option)}
        return {"updateProjectV2ItemFieldValue": {"projectV2Item": {"id": item}}}


@pytest.fixture
def github(site):
    return GitHub(site)
