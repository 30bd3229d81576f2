"""Prices of requests."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.database.use import DEMO, Use
from engine.models.prices import Prices
from engine.settings.providers import PROVIDERS
from engine.settings.settings import Settings, UnusableSettings


def prices(settings: Settings, **changes: Any) -> Prices:
    return Prices(settings.model_copy(update={"openai_api_key": "x", **changes}))


def test_known_models_have_the_price_of_their_provider(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = prices(settings)
    plain = known.use("gpt-4o-mini", 1_000_000, 0)
    assert (plain.cost, plain.unpriced) == (Decimal("0.15"), 0)
    # What a cache gave is cheaper, and tokens out are dearer.
    cached = known.use("gpt-4o-mini", 1_000_000, 0, 1_000_000)
    assert 0 < cached.cost < plain.cost < known.use("gpt-4o-mini", 0, 1_000_000).cost
    monkeypatch.setitem(PROVIDERS, "other", "")
    assert known.use("other/openai/gpt-4o-mini", 1_000_000, 0).cost == plain.cost


def test_tokens_without_a_price_are_counted_as_such(settings: Settings) -> None:
    assert prices(settings).use("unheard-of", 10, 5) == Use(10, 5, unpriced=15)
    # A server of one's own may call a model as somebody else does.
    own = prices(settings, openai_base_url="http://model.test/v1")
    assert own.use("gpt-4o-mini", 10, 5).unpriced == 15


def test_the_demo_costs_nothing(settings: Settings) -> None:
    demo = Prices(settings)
    assert demo.name_of("gpt-4o-mini") == DEMO
    assert demo.use(DEMO, 10, 5) == Use(10, 5)
    assert prices(settings).name_of("gpt-4o-mini") == "gpt-4o-mini"


def test_a_file_has_prices_of_ones_own(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(
        "[ours]\ninput = 2\noutput = 4.5\ncached = 0.5\n[gpt-4o-mini]\ninput = 1\noutput = 1\n"
    )
    own = prices(settings, prices_file=file)
    million = 1_000_000
    assert own.use("ours", million, million).cost == Decimal("6.5")
    assert own.use("ours", million, 0, million // 2).cost == Decimal("1.25")
    assert own.use("gpt-4o-mini", million, 0, million).cost == 1
    # More cached than asked, as a server may say, is all of it.
    assert own.use("ours", million, 0, 2 * million).cost == Decimal("0.5")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[ours]\ninput = 1\n", r"ours\.output: Field required"),
        ("[ours]\ninput = -1\noutput = 1\n", r"ours\.input: .*greater than or equal to 0"),
        ("[ours]\ninput = 1\noutput = 1\nprice = 1\n", r"ours\.price: Extra inputs"),
        ("ours = ", "is not valid TOML"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_is_wrong_is_refused_at_the_start(
    settings: Settings, tmp_path: Path, text: str | None, said: str
) -> None:
    file = tmp_path / "prices.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UnusableSettings, match=f"^PRICES_FILE: .*{said}"):
        prices(settings, prices_file=file)
