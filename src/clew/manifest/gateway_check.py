"""References to models and credentials, and the sections that define them."""

import os
from collections.abc import Iterator
from urllib.parse import urlsplit

from clew.manifest.context import Context
from clew.manifest.models.agents import Embedding
from clew.manifest.models.gateway import LogicalModel
from clew.manifest.problems import Path, shown

DEEPEST = 50
"""Models that name one another, one behind the other."""


def check_model(context: Context, path: Path, name: str | None) -> None:
    """Reports a model that is neither logical nor ``provider/name``."""
    if name is None or not context.sound(path) or not context.knows("models") or not context.knows("providers"):
        return
    providers = [provider.id for provider in context.project.providers]
    if name in context.project.models:
        return
    provider, slash, model = name.partition("/")
    if slash and model and provider in providers:
        return
    known = [*context.project.models, *(f"{provider}/…" for provider in providers)]
    if slash:
        context.unknown(path, provider, providers, "provider/name with a provider of the providers section")
    elif not known:
        message = f"found {shown(name)}, but the project has neither models nor providers sections to name it"
        context.report(path, "reference", message)
    else:
        context.unknown(path, name, known, "a logical model or provider/name")


def check_embedding(context: Context, path: Path, embedding: Embedding) -> None:
    """Reports what can make no vectors: neither or both of model and folder, a logical model, a provider without embeddings."""
    if (embedding.model is None) == (embedding.folder is None):
        found = "neither" if embedding.model is None else "both"
        context.report(path, "value", f'found {found}, expected either "model" or "folder"')
        return
    if embedding.model is None:
        for field in ("dimensions", "batch"):
            if getattr(embedding, field) is not None:
                context.misplaced((*path, field), "only a provider's model may have it")
        _check_folder(context, (*path, "folder"), embedding.folder or "")
        return
    where = (*path, "model")
    if not context.sound(where) or not context.knows("providers"):
        return
    types = {provider.id: provider.type for provider in context.project.providers}
    provider, slash, name = embedding.model.partition("/")
    if not slash or not name:
        context.report(where, "value", f"found {shown(embedding.model)}, expected provider/name")
    elif provider not in types:
        context.unknown(where, provider, types, "provider/name with a provider of the providers section")
    elif types[provider] == "anthropic":
        context.report(where, "value", f"{shown(provider)} is of type anthropic, which has no embeddings")


def _check_folder(context: Context, path: Path, folder: str) -> None:
    """Warns of a model that is not here: a project is checked where it does not run as well."""
    if context.sound(path) and not os.path.isdir(context.sources.root / os.path.expanduser(folder)):  # noqa: PTH111, PTH112 - never raise
        context.report(path, "file", f"there is no folder {shown(folder)}", severity="warning")


def check_credential(context: Context, path: Path, name: str | None) -> None:
    """Reports a credential that is not declared."""
    if context.knows("provider_credentials"):
        known = [credential.id for credential in context.project.provider_credentials]
        context.refer(path, name, known, "a credential of the provider_credentials section")


def check_gateway(context: Context) -> None:
    """Reports what does not fit in providers, provider_credentials and models."""
    for index, provider in enumerate(context.project.providers):
        path: Path = ("providers", index)
        check_credential(context, (*path, "credential"), provider.credential)
        addressed = provider.base_url is not None or provider.type not in ("openai_compatible", "azure")
        if not addressed and context.sound(path, (*path, "type"), (*path, "base_url")):
            message = f'the key "base_url" is missing: the provider is of type {provider.type}'
            context.report(path, "missing_key", message)
        _check_address(context, (*path, "base_url"), provider.base_url)
    providers = [provider.id for provider in context.project.providers]
    for index, credential in enumerate(context.project.provider_credentials):
        path = ("provider_credentials", index)
        if context.knows("providers") and providers:
            context.refer((*path, "provider"), credential.provider, providers, "a provider of the providers section")
        field = "env_var" if credential.auth.source == "env" else "file_path"
        where = (*path, "auth")
        if credential.config is not None:
            _check_address(context, (*path, "config", "base_url"), credential.config.base_url)
        if getattr(credential.auth, field) is None and context.sound(where, (*where, "source"), (*where, field)):
            message = f"the key {shown(field)} is missing: the source is {credential.auth.source}"
            context.report(where, "missing_key", message)
    for name, model in context.project.models.items():
        _logical(context, ("models", name), model)
    _check_circles(context)


def _check_address(context: Context, path: Path, address: str | None) -> None:
    """Reports what is no plain HTTP address. It is recorded with every run: a secret may not stand in it, and is not quoted."""
    if address is None or not context.sound(path):
        return
    try:
        parts = urlsplit(address)
        plain = parts.scheme in ("http", "https") and bool(parts.hostname) and not set(address) & set(" \t\r\n")
    except ValueError:
        context.report(path, "value", "found what is no address, expected one such as https://example.org/v1")
        return
    if not plain:
        context.report(path, "value", "found what is no HTTP address, expected one such as https://example.org/v1")
    elif parts.username or parts.password or parts.query or parts.fragment:
        message = "found an address with a user, a query or a fragment; a secret stands in provider_credentials"
        context.report(path, "value", message)


def _check_circles(context: Context) -> None:
    """Reports models that name each other in a circle, once, where the circle closes."""
    done: set[str] = set()

    def walk(name: str, way: tuple[str, ...]) -> None:
        done.add(name)
        for path, other in _names(context.project.models[name]):
            if other in (*way, name):
                circle = " → ".join([*(*way, name)[(*way, name).index(other) :], other])
                context.report(("models", name, *path), "value", f"models name each other in a circle: {circle}")
            elif len(way) == DEEPEST:
                context.report(("models", name, *path), "value", f"more than {DEEPEST} models behind one another")
            elif other in context.project.models and other not in done:
                walk(other, (*way, name))

    for name in context.project.models:
        if name not in done:
            walk(name, ())


def _names(model: LogicalModel) -> Iterator[tuple[Path, str]]:
    """The models that a logical model names, and where."""
    for index, use in enumerate(model.use or ()):
        yield ("use", index), use if isinstance(use, str) else use.model
    for index, rule in enumerate(model.route or ()):
        key = "use" if rule.use is not None else "otherwise"
        yield ("route", index, key), rule.use or rule.otherwise or ""
    for index, name in enumerate(model.then or ()):
        yield ("then", index), name


def _logical(context: Context, path: Path, model: LogicalModel) -> None:
    if not context.sound(path, (*path, "use"), (*path, "route")):
        return
    if (model.use is None) == (model.route is None):
        found = "neither" if model.use is None else "both"
        context.report(path, "value", f'found {found}, expected either "use" or "route"')
    for index, use in enumerate(model.use or ()):
        where = (*path, "use", index)
        if isinstance(use, str):
            check_model(context, where, use)
        else:
            check_model(context, (*where, "model"), use.model)
    for index, name in enumerate(model.then or ()):
        check_model(context, (*path, "then", index), name)
    rules = model.route or []
    for index, rule in enumerate(rules):
        where = (*path, "route", index)
        check_model(context, (*where, "use"), rule.use)
        check_model(context, (*where, "otherwise"), rule.otherwise)
        if not context.sound(where, (*where, "use"), (*where, "otherwise"), (*where, "when")):
            continue
        last = rule.otherwise is not None
        if last != (rule.use is None) or last != (rule.when is None):
            context.report(where, "value", "expected when and use together, or otherwise alone")
        elif last and index != len(rules) - 1:
            context.report(where, "value", "the rules after otherwise are never reached; it stands last")
