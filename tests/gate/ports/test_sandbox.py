from clew.gate.ports.sandbox import Capabilities, ExecRequest, ExecResult, Profile


def test_limits_are_those_of_the_contract():
    profile = Profile()
    assert (profile.wall_s, profile.cpu_s, profile.memory, profile.processes, profile.open_files, profile.output) == (
        30.0, 20.0, 512 * 2**20, 32, 512, 2**20,
    )  # fmt: skip
    assert profile.mounts == ()


def test_nothing_is_inherited_by_default():
    assert ExecRequest(argv=("true",)).env == {}
    assert ExecResult(status="KILLED", rc=None).enforced == {}
    assert not Capabilities(name="none", usable=False).holds
