"""GitHub for tools: its REST and GraphQL interfaces, as documented at docs.github.com (REST version 2022-11-28).

Belongs here: what its answers mean, pages, rate limits, and the mark by which something that was made is found again.
Never here: what an agent may do with it (the tools under ``builtin`` and a project's declaration say that).
"""
