import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from clew.gate.ports.model import FAULTS, RateLimit
from clew.models.health import EARLY_MS, LIMITED_MS, LOOK_MS, Circuit

COOL = 30_000
FAILING = [code for code, again in FAULTS.items() if again and code != "rate_limited"]
NEUTRAL = [code for code, again in FAULTS.items() if not again]


def opened(at: int = 0, failures: int = 3) -> Circuit:
    circuit = Circuit(failures, COOL)
    for _ in range(failures):
        circuit.failed(circuit.begin(), at, "provider_error")
    return circuit


@pytest.mark.parametrize("code", FAILING)
def test_failures_in_a_row_set_a_deployment_aside(code):
    circuit = Circuit(3, COOL)
    for _ in range(2):
        circuit.failed(circuit.begin(), 0, code)
        assert circuit.standing(0) == ("ready", 0)
    circuit.failed(circuit.begin(), 5, code)
    assert circuit.standing(5) == ("cooling_down", 5 + COOL)
    assert circuit.standing(5 + COOL) == ("ready", 5 + COOL)


def test_an_answer_begins_the_row_anew():
    circuit = Circuit(2, COOL)
    for _ in range(5):
        circuit.failed(circuit.begin(), 0, "provider_error")
        circuit.answered(circuit.begin(), 0)
    assert circuit.standing(0)[0] == "ready"


@pytest.mark.parametrize("code", [*NEUTRAL, "adapter_error"])
def test_what_is_the_requests_fault_does_not_count(code):
    circuit = Circuit(1, COOL)
    circuit.failed(circuit.begin(), 0, code)
    assert circuit.standing(0) == ("ready", 0)


def test_half_open_lets_one_call_through_at_a_time():
    circuit = opened()
    probe = circuit.begin()
    assert circuit.standing(COOL) == ("probed", COOL + LOOK_MS)
    circuit.abandoned(probe)
    assert circuit.standing(COOL)[0] == "ready", "a cancelled probe leaves its place"
    circuit.answered(circuit.begin(), COOL)
    circuit.begin()
    assert circuit.standing(COOL)[0] == "ready", "closed: calls are free again"


@pytest.mark.parametrize("code", [*NEUTRAL, "rate_limited"])
def test_a_probe_that_says_nothing_leaves_its_place(code):
    circuit = opened()
    circuit.failed(circuit.begin(), COOL, code)
    assert circuit.standing(COOL + LIMITED_MS)[0] == "ready"
    circuit.begin()
    assert circuit.standing(COOL + LIMITED_MS)[0] == "probed", "and the next one is a probe too"


def test_a_probe_that_fails_begins_a_new_cool_down():
    circuit = opened()
    circuit.failed(circuit.begin(), COOL + 1, "bad_answer")
    assert circuit.standing(COOL + 1) == ("cooling_down", 2 * COOL + 1)


def test_old_news_moves_nothing():
    circuit = Circuit(1, COOL)
    late, later = circuit.begin(), circuit.begin()
    circuit.failed(circuit.begin(), 0, "provider_error")
    circuit.answered(late, 1)
    assert circuit.standing(1) == ("cooling_down", COOL)
    circuit.failed(later, 2, "provider_error")
    assert circuit.standing(2) == ("cooling_down", COOL)


def test_a_last_resort_is_probed_sooner_each_time_later():
    circuit, now, waits = opened(), 0, []
    for _ in range(9):
        standing, due = circuit.standing(now, last=True)
        assert standing == "cooling_down"
        waits.append(due - now)
        now = due
        assert circuit.standing(now, last=True) == ("ready", now)
        probe = circuit.begin()
        assert circuit.standing(now, last=True)[0] == "probed", "one at a time there too"
        circuit.failed(probe, now, "provider_error")
    assert waits == [min(COOL, EARLY_MS * 2**n) for n in range(9)]


def test_a_short_cool_down_is_never_made_longer():
    circuit = Circuit(1, 100)
    circuit.failed(circuit.begin(), 0, "provider_error")
    assert circuit.standing(0, last=True) == circuit.standing(0) == ("cooling_down", 100)


@pytest.mark.parametrize(
    ("limit", "until"),
    [
        (RateLimit(remaining_requests=0, reset_requests_ms=700), 700),
        (RateLimit(remaining_tokens=0, reset_tokens_ms=900, remaining_requests=0, reset_requests_ms=20), 900),
        (RateLimit(remaining_requests=0), LIMITED_MS),
        (RateLimit(remaining_requests=-3, reset_requests_ms=-5), 0),
        (RateLimit(remaining_requests=1, reset_requests_ms=700), 0),
        (RateLimit(reset_requests_ms=700), 0),
        (RateLimit(remaining_tokens=0, reset_tokens_ms=10**12), 3_600_000),
    ],
)
def test_no_request_is_sent_where_none_is_left(limit, until):
    circuit = Circuit(3, COOL)
    circuit.answered(circuit.begin(), 0, limit)
    assert circuit.standing(0) == (("rate_limited", until) if until else ("ready", 0))
    assert circuit.standing(until) == ("ready", until)


@pytest.mark.parametrize(
    ("asked", "until"), [(2500, 2500), (None, LIMITED_MS), ("soon", LIMITED_MS), (-1, LIMITED_MS), (10**15, 3_600_000)]
)
def test_retry_after_is_heeded(asked, until):
    circuit = Circuit(1, COOL)
    circuit.failed(circuit.begin(), 0, "rate_limited", asked)
    assert circuit.standing(0) == ("rate_limited", until)


def test_a_limit_holds_for_a_last_resort_too():
    circuit = opened()
    circuit.failed(circuit.begin(), 0, "rate_limited", 20_000)
    assert circuit.standing(0, last=True) == ("rate_limited", 20_000)
    assert circuit.standing(0) == ("cooling_down", COOL)


class CircuitUnderCalls(RuleBasedStateMachine):
    """Any number of calls at once, ending in any order; what is promised holds after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.circuit = Circuit(3, 1000)
        self.calls: list[int] = []
        self.fresh: set[int] = set()
        """Calls that began since the circuit last opened."""
        self.row = 0
        self.open_until: int | None = None
        self.probes: set[int] = set()

    @rule(ms=st.integers(1, 1500))
    def pass_time(self, ms: int) -> None:
        self.now += ms

    @precondition(lambda self: self.circuit.standing(self.now)[0] == "ready")
    @rule()
    def begin(self) -> None:
        call = self.circuit.begin()
        self.calls.append(call)
        self.fresh.add(call)
        if self.open_until is not None:
            self.probes.add(call)

    def _end(self, data: st.DataObject) -> tuple[int, bool]:
        call = self.calls.pop(data.draw(st.integers(0, len(self.calls) - 1)))
        counts = call in self.fresh
        self.fresh.discard(call)
        self.probes.discard(call)
        return call, counts

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        call, counts = self._end(data)
        self.circuit.answered(call, self.now)
        if counts:
            self.row, self.open_until = 0, None

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), code=st.sampled_from(FAILING))
    def fail(self, data: st.DataObject, code: str) -> None:
        call, counts = self._end(data)
        self.circuit.failed(call, self.now, code)
        if counts:
            self.row += 1
            if self.row >= 3:
                self.open_until, self.fresh = self.now + 1000, set()

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        call, _ = self._end(data)
        self.circuit.abandoned(call)

    @invariant()
    def one_probe_at_most(self) -> None:
        assert len(self.probes) <= 1 or self.open_until is None

    @invariant()
    def stands_as_promised(self) -> None:
        standing, due = self.circuit.standing(self.now)
        if self.open_until is None:
            assert (standing, due) == ("ready", self.now)
        elif self.now < self.open_until:
            assert (standing, due) == ("cooling_down", self.open_until)
        else:
            assert standing == ("probed" if self.probes else "ready")


CircuitUnderCalls.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestCircuit = CircuitUnderCalls.TestCase
