"""Bills worked out by hand from the providers' list prices, in decimals; and whatever cannot be priced."""

import random
from datetime import UTC, datetime
from decimal import Decimal, getcontext, localcontext

import msgspec
import pytest

from clew.gate.ports.model import Usage
from clew.models import price
from clew.models.catalog import Prices, Provider
from clew.models.price import Priced, Pricer


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


NOW = at("2026-01-15T20:00")

OPENAI = Provider(id="main", type="openai")
CLAUDE = Provider(id="claude", type="anthropic")
GEMINI = Provider(id="google", type="gemini")
AZURE = Provider(id="azure", type="azure", base_url="https://mine.openai.azure.com")


def served_by(url, **fields):
    return Provider(id="other", type="openai_compatible", base_url=url, **fields)


GROQ = served_by("https://api.groq.com/openai/v1")
DEEPSEEK = served_by("https://api.deepseek.com/v1")
MISTRAL = served_by("https://api.mistral.ai/v1")
GROK = served_by("https://api.x.ai/v1")
PERPLEXITY = served_by("https://api.perplexity.ai")
ROUTER = served_by("https://openrouter.ai/api/v1")


def used(tokens_in, tokens_out, *, read=0, write=0, reasoning=0):
    return Usage(
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        cache_read_tokens=read,
        cache_write_tokens=write,
        reasoning_tokens=reasoning,
    )


# provider, model, when, usage, [(tokens, dollars per million)], bill
BILLS = [
    (OPENAI, "gpt-4o", NOW, used(120_000, 3_500, read=20_000),
     [(100_000, "2.50"), (20_000, "1.25"), (3_500, "10")], "0.31"),
    (OPENAI, "gpt-5", NOW, used(8_000, 2_500, read=6_400, reasoning=1_920),
     [(1_600, "1.25"), (6_400, "0.125"), (580, "10"), (1_920, "10")], "0.0278"),
    (OPENAI, "gpt-5-mini-2025-08-07", NOW, used(1_234, 567, read=1_024, reasoning=448),
     [(210, "0.25"), (1_024, "0.025"), (567, "2")], "0.0012121"),
    (OPENAI, "gpt-4.1-nano", NOW, used(7, 1), [(7, "0.10"), (1, "0.40")], "0.0000011"),
    (OPENAI, "o1", NOW, used(2_000, 9_000, read=1_000, reasoning=8_000),
     [(1_000, "15"), (1_000, "7.50"), (9_000, "60")], "0.5625"),
    # a list price that was cut on 2025-06-10
    (OPENAI, "o3", at("2025-06-09T23:59"), used(1_000, 1_000), [(1_000, "10"), (1_000, "40")], "0.05"),
    (OPENAI, "o3", at("2025-06-10T00:00"), used(1_000, 1_000), [(1_000, "2"), (1_000, "8")], "0.01"),
    # from 272,000 tokens in on, all of them cost more
    (OPENAI, "gpt-5.4", NOW, used(272_000, 100), [(272_000, "2.50"), (100, "15")], "0.6815"),
    (OPENAI, "gpt-5.4", NOW, used(272_001, 100, read=72_001),
     [(200_000, "5"), (72_001, "0.50"), (100, "22.50")], "1.0382505"),
    (AZURE, "gpt-4o", NOW, used(10_000, 1_000), [(10_000, "2.50"), (1_000, "10")], "0.035"),
    (CLAUDE, "claude-sonnet-4-5-20250929", NOW, used(30_000, 1_200, read=20_000, write=4_000),
     [(6_000, "3"), (20_000, "0.30"), (4_000, "3.75"), (1_200, "15")], "0.057"),
    # the threshold counts what is read from and written to the cache too
    (CLAUDE, "claude-sonnet-4-5", NOW, used(250_000, 2_000, read=100_000, write=50_000),
     [(100_000, "6"), (100_000, "0.60"), (50_000, "7.50"), (2_000, "22.50")], "1.08"),
    (CLAUDE, "claude-opus-4-5", NOW, used(5_000, 800, write=4_096),
     [(904, "5"), (4_096, "6.25"), (800, "25")], "0.05012"),
    (CLAUDE, "claude-haiku-4-5", NOW, used(5_000, 800, read=4_096),
     [(904, "1"), (4_096, "0.10"), (800, "5")], "0.0053136"),
    (GEMINI, "gemini-2.5-pro", NOW, used(200_000, 10_000, reasoning=9_000),
     [(200_000, "1.25"), (10_000, "10")], "0.35"),
    (GEMINI, "gemini-2.5-pro", NOW, used(200_001, 10_000, read=100_000),
     [(100_001, "2.50"), (100_000, "0.25"), (10_000, "15")], "0.4250025"),
    (GEMINI, "gemini-2.5-flash", NOW, used(3_333, 777, read=1_111),
     [(2_222, "0.30"), (1_111, "0.03"), (777, "2.50")], "0.00264243"),
    (GROQ, "llama-3.3-70b-versatile", NOW, used(1_001, 99), [(1_001, "0.59"), (99, "0.79")], "0.0006688"),
    # dearer by day
    (DEEPSEEK, "deepseek-chat", at("2026-01-15T12:00"), used(1_000, 1_000, read=400),
     [(600, "0.27"), (400, "0.07"), (1_000, "1.10")], "0.00129"),
    (DEEPSEEK, "deepseek-chat", NOW, used(1_000, 1_000, read=400),
     [(600, "0.135"), (400, "0.035"), (1_000, "0.55")], "0.000645"),
    (MISTRAL, "mistral-large-latest", NOW, used(4_000, 500), [(4_000, "2"), (500, "6")], "0.011"),
    (GROK, "grok-4", NOW, used(12_000, 600, read=10_000, reasoning=500),
     [(2_000, "3"), (10_000, "0.75"), (600, "15")], "0.0225"),
    # reasoning at a price of its own
    (PERPLEXITY, "sonar-deep-research", NOW, used(50, 9_000, reasoning=7_000),
     [(50, "2"), (2_000, "8"), (7_000, "3")], "0.0371"),
    (ROUTER, "anthropic/claude-sonnet-4.5", NOW, used(1_000, 100), [(1_000, "3"), (100, "15")], "0.0045"),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "model", "when", "usage", "parts", "bill"), BILLS, ids=lambda v: str(v)[:40])
def test_a_bill_worked_out_by_hand(provider, model, when, usage, parts, bill):
    by_hand = sum(Decimal(tokens) * Decimal(dollars) for tokens, dollars in parts) / Decimal(1_000_000)
    assert by_hand == Decimal(bill), "the arithmetic of this test"
    priced = Pricer()(provider, model, usage, when)
    assert (priced.cost, priced.warning) == (bill, "")
    assert priced.source.startswith("genai-prices ")


def test_there_are_bills_of_many_models():
    assert len({model for _, model, *_ in BILLS}) >= 12
    assert len({(provider.type, provider.base_url) for provider, *_ in BILLS}) >= 5


@pytest.mark.parametrize(
    ("prices", "usage", "bill"),
    [
        (Prices(input="3", output="15"), used(1_000, 100, read=500), "0.0045"),
        (Prices(input="3", output="15", cached_input="0.3"), used(1_000, 100, read=500), "0.00315"),
        (Prices(input="3", output="15", cached_input="0.3"), used(1_000, 0, read=1_000, write=1_000), "0.0033"),
        (Prices(input="0.000000000001", output="0"), used(1, 1), "0.000000000000000001"),
        (Prices(input="1"), used(1_000_000, 0), "1"),
        (Prices(input="0", output="0"), used(10, 10), "0"),
        (Prices(input="0", output="0", cached_input="0"), used(0, 0), "0"),
    ],
)
def test_declared_prices_win(prices, usage, bill):
    provider = Provider(id="main", type="openai", prices=prices)
    assert Pricer()(provider, "gpt-5", usage, NOW) == Priced(cost=bill, source="declared")


@pytest.mark.parametrize("missing", ["input", "output"])
def test_a_price_that_is_not_declared_is_not_zero(missing):
    prices = Prices(**{"input": "1", "output": "1", missing: None})
    priced = Pricer()(Provider(id="main", type="openai", prices=prices), "gpt-5", used(1, 1), NOW)
    assert priced.cost == priced.source == ""
    assert f"`prices` does not say '{missing}'" in priced.warning


def test_offline_costs_nothing():
    provider = Provider(id="off", type="offline", prices=Prices(input="1", output="1"))
    assert Pricer()(provider, "any", used(10, 10), NOW) == Priced(cost="0", source="offline")


@pytest.mark.parametrize(
    ("provider", "model", "why"),
    [
        (OPENAI, "gpt-unheard-of", "not in the price list"),
        (AZURE, "our-deployment", "not in the price list"),
        (OPENAI, "", "not in the price list"),
        (OPENAI, "text-embedding-3-small", "without a price"),  # no price of output
        (GEMINI, "gemma-3-27b-it", "without a price"),  # named, free for some, and nothing said
        (Provider(id="here", type="ollama"), "qwen3", "what ollama answers from has no list price"),
        (Provider(id="here", type="openai_compatible"), "gpt-5", "no list price"),
        (served_by("http://127.0.0.1:8000/v1"), "gpt-5", "not in the price list"),
        (served_by("https://api.groq.com.evil.test/v1"), "nothing", "not in the price list"),
    ],
)
def test_an_unknown_price_is_never_zero_and_names_the_mend(provider, model, why):
    priced = Pricer()(provider, model, used(10, 10), NOW)
    assert (priced.cost, priced.source) == ("", "")
    assert f"{provider.id}/{model} is not known" in priced.warning
    assert why in priced.warning
    assert f"`providers`: {{id: {provider.id}, prices: {{input: …, output: …}}}}" in priced.warning


def test_usage_that_was_not_said_is_not_zero():
    assert "did not say how many tokens" in Pricer()(OPENAI, "gpt-5", Usage(), NOW).warning


def test_where_tokens_are_not_counted_a_declared_price_is_not_asked_for_again():
    assert "0 for none" in Pricer()(OPENAI, "gpt-5", Usage(), NOW).warning
    priced = msgspec.structs.replace(OPENAI, prices=Prices(input="1", output="1"))
    for usage in (Usage(), Usage(input_tokens=-1), used(10**30, 1)):
        warning = Pricer()(priced, "gpt-5", usage, NOW).warning
        assert "main/gpt-5 is not known" in warning.replace(OPENAI.id, "main")
        assert "declare" not in warning


@pytest.mark.parametrize(
    ("usage", "bill"),
    [
        (used(10, 0, read=1_000), "0.000125"),  # the input leaves the cached tokens out
        (used(1_000, 10, reasoning=100), "0.00225"),  # the output leaves the reasoning out
    ],
)
def test_usage_that_does_not_add_up_is_priced_by_its_parts(usage, bill):
    assert Pricer()(OPENAI, "gpt-5", usage, NOW).cost == bill


@pytest.mark.parametrize("usage", [used(-1, 5), used(5, -1), used(5, 5, read=-1), used(10**30, 5), used(5, 10**18)])
def test_nonsense_is_not_priced(usage):
    for provider in (OPENAI, Provider(id="d", type="openai", prices=Prices(input="1", output="1"))):
        priced = Pricer()(provider, "gpt-5", usage, NOW)
        assert priced.cost == ""
        assert "negative" in priced.warning or "cannot be" in priced.warning


def test_the_cost_does_not_depend_on_the_surrounding_precision():
    with localcontext() as context:
        context.prec = 3
        assert Pricer()(OPENAI, "gpt-5", used(123_457, 7), NOW).cost == "0.15439125"
    assert getcontext().prec == 28


def test_without_the_library(monkeypatch):
    def absent(name):
        raise ImportError(name)

    price._library.cache_clear()
    monkeypatch.setattr(price, "import_module", absent)
    assert "not installed" in Pricer()(OPENAI, "gpt-5", used(1, 1), NOW).warning
    assert Pricer()(served_by("x", prices=Prices(input="1", output="1")), "m", used(1, 1), NOW).cost == "0.000002"


def test_ten_thousand_calls_have_no_drift():
    """Every cost is the exact decimal: the sum of the texts is the sum of the tokens times the price."""
    chance, pricer = random.Random(7), Pricer()
    total, tokens_in, cached, tokens_out = Decimal(0), 0, 0, 0
    for _ in range(10_000):
        usage = used(chance.randint(1, 9_999), chance.randint(0, 999), read=0)
        read = chance.randint(0, usage.input_tokens)
        total += Decimal(
            pricer(OPENAI, "gpt-5-mini", used(usage.input_tokens, usage.output_tokens, read=read), NOW).cost
        )
        tokens_in, cached, tokens_out = tokens_in + usage.input_tokens, cached + read, tokens_out + usage.output_tokens
    million = Decimal(1_000_000)
    assert total == ((tokens_in - cached) * Decimal("0.25") + cached * Decimal("0.025") + tokens_out * 2) / million
