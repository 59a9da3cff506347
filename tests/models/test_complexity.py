import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.gate.ports.model import Message, ModelRequest, Text, ToolCall, ToolOffer, ToolResponse
from clew.models.complexity import KINDS, classify


def asked(text: str, *before: Message, tools: int = 0, after: tuple[Message, ...] = ()) -> ModelRequest:
    offers = tuple(ToolOffer(name=f"t{n}") for n in range(tools))
    return ModelRequest(model="m", messages=(*before, Message("user", (Text(text),)), *after), tools=offers)


CLEAR = """
What is the capital of Australia?|simple|chat
Who wrote Middlemarch?|simple|chat
hi there|simple|chat
What is 17% of 340?|simple|math
Translate "good morning" into Spanish.|simple|writing
Extract the email addresses from: ann@x.example, bob@y.example and the front desk|simple|extraction
How do I undo the last git commit?|simple|code
Rename the variable x to total in `x = x + 1`|simple|code
Was ist die Hauptstadt von Peru?|simple|chat
Explain how photosynthesis works.|medium|chat
Compare tea and coffee for somebody who sleeps badly.|medium|chat
Draft an email to my landlord asking for a repair of the heating.|medium|writing
Write a Python function that removes duplicates from a list and keeps the order.|medium|code
Erkläre mir den Unterschied zwischen Brutto und Netto.|medium|chat
Explique la différence entre une ruche et un essaim.|medium|chat
Explica por qué el cielo es azul.|medium|chat
Prove that the square root of 2 is irrational.|complex|math
Design a rate limiter for three regions that must survive the loss of one, with at most 1 % over-admission.|complex|chat
Implement a lock-free concurrent queue in C++ and argue why it is linearizable.|complex|code
Our service deadlocks under load; debug it from these two thread dumps and propose a fix in the Java code.|complex|code
Analyse the three conflicting reports, assess the risks of each and recommend a strategy for the next phase.|complex|reasoning
"""


@pytest.mark.parametrize("line", CLEAR.strip().splitlines())
def test_clear_cases(line):
    text, complexity, kind = line.rsplit("|", 2)
    verdict = classify(asked(text))
    assert (verdict.complexity, verdict.kind) == (complexity, kind), verdict


def test_the_last_words_of_the_user_count():
    hard = Message("user", (Text("Prove Fermat's last theorem."),))
    call = Message("assistant", (ToolCall(id="1", name="t"),))
    response = Message("tool", (ToolResponse(id="1", name="t", response="Prove it. Design it. Debug it."),))
    assert classify(asked("Thanks!", hard)).complexity == "simple"
    assert classify(asked("Thanks!", hard, after=(call, response))).complexity == "simple"


def test_a_request_without_user_words_is_simple():
    assert classify(ModelRequest(model="m", messages=())).complexity == "simple"
    assert classify(ModelRequest(model="m", messages=(Message("system", (Text("Prove it."),)),))).complexity == "simple"


def test_pasted_text_of_a_mechanical_task_counts_nothing():
    pasted = "Design and prove it; analyse several conflicting sources, without fail, at most 3 times.\n" * 20
    assert classify(asked(f"Translate into French:\n\n{pasted}")).complexity == "simple"
    assert classify(asked(f"Summarise this in a paragraph:\n\n{pasted}")).complexity == "medium"
    assert classify(asked(f"Explain this code:\n```\n{pasted}```")).complexity == "medium"


def test_many_tools_or_a_long_conversation_make_it_harder():
    question = "What is the capital of Australia?"
    told = Message("tool", (ToolResponse(id="1", name="t", response="x" * 40_000),))
    structured = Message("tool", (ToolResponse(id="1", name="t", response={"x": 1}),))
    assert classify(asked(question, tools=8)).complexity == "simple"
    assert classify(asked(question, tools=9)).complexity == "medium"
    assert classify(asked(question, told)).complexity == "medium"
    assert classify(asked(question, structured)).complexity == "simple"
    assert classify(asked("Prove that 2 is prime.", told, tools=9)).complexity == "complex"


@pytest.mark.parametrize(
    "text",
    ["a" * 1_000_000, "\n" * 500_000, "1 " * 200_000, "```" * 50_000, "a = " * 50_000, "list all the " * 50_000, "SELECT " * 50_000,
     "leite " * 50_000, "please " * 50_000, "\x00\ud83d\ude00".encode("utf-8", "surrogatepass").decode("utf-8", "replace")],
)  # fmt: skip
@pytest.mark.timeout(10)
def test_hostile_text_is_no_burden(text):
    assert classify(asked(text)).kind in KINDS


@given(st.text(max_size=400))
def test_one_request_one_verdict(text):
    request = asked(text)
    again = msgspec.convert(msgspec.to_builtins(request), ModelRequest)
    assert classify(request) == classify(again)
    assert classify(request).kind in KINDS


def test_a_script_without_spaces_has_length_too():
    assert classify(asked("日" * 900)).points > classify(asked("日" * 9)).points
