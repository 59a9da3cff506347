"""Whether changed files can be read by the interpreter that is to run them: checked in the sandbox, on a copy."""

import msgspec

from clew.agents.code import workspace
from clew.agents.code.roles.seat import Json, Payload, Seat, understood
from clew.agents.code.roles.tree import ROOT, opened
from clew.core.errors import Failure
from clew.gate.ports.sandbox import MIB, ExecRequest, Profile, SandboxBackend

_LIMITS = Profile(wall_s=20, workspace=1024 * MIB)
_CHECKED = (".py", ".pyi", ".json")
_PROGRAM = """\
import json, sys, warnings
warnings.simplefilter("ignore")
told = {"by": "Python %d.%d.%d" % sys.version_info[:3], "wrong": {}}
for name in sys.argv[1:]:
    try:
        with open(name, "rb") as file:
            data = file.read()
        json.loads(data.decode()) if name.endswith(".json") else compile(data, name, "exec", dont_inherit=True)
    except SyntaxError as error:
        told["wrong"][name] = "line %s: %s: %s" % (error.lineno, error.msg, (error.text or "").strip())
    except Exception as error:
        told["wrong"][name] = "%s: %s" % (type(error).__name__, error)
print(json.dumps(told))
"""


class _Told(msgspec.Struct):
    by: str
    wrong: dict[str, str]


async def checked(seat: Seat, where: Payload, changes: dict[str, str]) -> Json:
    """``{checked, by}`` for changes laid over the repository. Raises Failure(invalid_code) that says what is wrong where."""
    payload = msgspec.to_builtins(msgspec.structs.replace(where, changes={**where.changes, **changes}))
    told = await seat.do("check_syntax", check, payload, sorted(changes))
    if told["wrong"]:
        said = "; ".join(f"{path}: {why}" for path, why in told["wrong"].items())
        raise Failure(f"not {told['by']}: {said}", code="invalid_code", details=told["wrong"])
    return {"checked": told["checked"], "by": told["by"]}


async def check(backend: SandboxBackend, payload: Json, paths: list[str]) -> Json:
    """The job: ``{checked, by, wrong}``; files of other kinds are not looked at."""
    chosen = [path for path in paths if path.endswith(_CHECKED)]
    async with opened(backend, understood(Payload, payload), _LIMITS) as (sandbox, interpreter):
        argv = (interpreter.executable, "-I", "-c", _PROGRAM, *(f"./{path}" for path in chosen))
        done = await sandbox.execute(ExecRequest(argv=argv, cwd=ROOT, env=workspace.environment()))
    try:
        told = msgspec.json.decode(done.stdout, type=_Told)
    except msgspec.DecodeError:
        words = done.stderr.decode("utf-8", "replace")[-500:] or done.reason
        raise Failure(f"the syntax could not be checked ({done.status}): {words}", code="syntax_check") from None
    return {
        "checked": chosen,
        "by": told.by,
        "wrong": {path.removeprefix("./"): why for path, why in told.wrong.items()},
    }
