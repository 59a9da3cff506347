import importlib.util
import sys
import threading

import pytest

from clew.agents.code.runner.tracer import Tracer, frames_below

CODE = """\
def look(n):
    if n:
        return [x for x in range(n)]
    return None

def deep(n):
    return 1 / n
"""


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "code.py"
    path.write_text(CODE)
    spec = importlib.util.spec_from_file_location("traced_code", path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def tracer(tmp_path):
    before, threads = sys.gettrace(), threading.gettrace()
    made = Tracer(str(tmp_path))
    yield made
    made.stop()
    sys.settrace(before)
    threading.settrace(threads)


def test_lines_between_two_takes(module, tracer):
    tracer.start()
    module.look(0)
    first = tracer.take()
    module.look(2)
    module.look(2)
    second = tracer.take()
    tracer.stop()
    assert first == {"code.py": {1, 2, 4}}
    assert second == {"code.py": {1, 2, 3}}
    assert tracer.take() == {}


def test_foreign_and_test_files_are_not_traced(tmp_path, tracer):
    assert tracer.relative(str(tmp_path / "pkg" / "a.py")) == "pkg/a.py"
    assert tracer.relative(str(tmp_path / "tests" / "a.py")) is None
    assert tracer.relative("/usr/lib/python3/json.py") is None
    assert tracer.relative("<string>") is None


def test_frames_of_a_traceback(module, tracer):
    with pytest.raises(ZeroDivisionError) as caught:
        module.deep(0)
    assert frames_below(tracer, caught.tb) == (("code.py", 7),)
