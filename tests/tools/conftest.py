from pathlib import Path

import pytest

from clew.core.errors import Failure
from clew.gate.ports.tool import ToolContext
from clew.gate.schema import Validator
from clew.tools.builtin import builtin


@pytest.fixture
def root(tmp_path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("secret\n")
    return root


@pytest.fixture
def use(root):
    """Call a built-in tool as the driver does: arguments checked first, the result against its schema after."""

    async def call(tool: str, **args):
        made = builtin(tool)
        Validator(made.spec.inputs).check(args)
        result = await made.call(args, ToolContext(project_dir=root, root=root))
        Validator(made.spec.outputs).check(result, code="invalid_output", what="result")
        return result

    return call


@pytest.fixture
def refused(use):
    """The code with which a call fails."""

    async def call(tool: str, **args) -> str:
        with pytest.raises(Failure) as caught:
            await use(tool, **args)
        assert str(caught.value)
        return caught.value.code

    return call
