"""The price of a request to a model, from `genai-prices` or from a file of one's own."""

import logging
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from engine.database.use import DEMO, Use
from engine.settings.providers import provider_of, without_provider
from engine.settings.settings import PROJECT_ROOT, Settings, UnusableSettings

MILLION = 1_000_000

logger = logging.getLogger(__name__)


class Price(BaseModel):
    """US dollars for a million tokens. Without `cached`, cached tokens cost as much as others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)
    cached: Decimal | None = Field(default=None, ge=0)

    def of(self, tokens_in: int, cached: int, tokens_out: int) -> Decimal:
        for_cached = self.input if self.cached is None else self.cached
        per_million = (
            (tokens_in - cached) * self.input + cached * for_cached + tokens_out * self.output
        )
        return per_million / MILLION


_PRICES = TypeAdapter(dict[str, Price])


class Prices:
    """Raises `UnusableSettings` if PRICES_FILE cannot be read."""

    def __init__(self, settings: Settings) -> None:
        self._own = _read(settings.prices_file) if settings.prices_file else {}
        self._is_demo = settings.is_demo
        self._api_url = settings.openai_base_url

    def name_of(self, model: str) -> str:
        """The name under which the model is counted."""
        return DEMO if self._is_demo else model

    def use(self, model: str, tokens_in: int, tokens_out: int, cached: int = 0) -> Use:
        """These tokens of one request, with their price."""
        cost = self._cost(model, tokens_in, min(cached, tokens_in), tokens_out)
        unpriced = tokens_in + tokens_out if cost is None else 0
        return Use(tokens_in, tokens_out, cached, cost or Decimal(0), unpriced)

    def _cost(self, model: str, tokens_in: int, cached: int, tokens_out: int) -> Decimal | None:
        """In US dollars; None without a known price."""
        if model == DEMO:
            return Decimal(0)
        if (price := self._own.get(model)) is not None:
            return price.of(tokens_in, cached, tokens_out)
        try:
            library = _library()
            usage = library.Usage(
                input_tokens=tokens_in, cache_read_tokens=cached, output_tokens=tokens_out
            )
            cost: Decimal = library.calc_price(usage, **self._provider(model)).total_price
        except LookupError:
            return None
        except Exception:  # an answer does not fail because it cannot be priced
            logger.exception("the price of %s could not be found", model)
            return None
        return cost

    def load(self) -> None:
        """Import what takes a while, before the first answer needs it."""
        if not self._is_demo:
            _library()

    def _provider(self, model: str) -> Mapping[str, str]:
        """The provider that charges for the model. A server that is not OpenAI's is found by its address:
        a model of one's own may have the name of another one.
        """
        if provider_of(model) is not None:
            provider, _, name = without_provider(model).partition("/")
            return {"model_ref": name or provider, **({"provider_id": provider} if name else {})}
        if self._api_url is not None:
            return {"model_ref": model, "provider_api_url": self._api_url}
        return {"model_ref": model, "provider_id": "openai"}


@cache
def _library() -> Any:
    """Imported when a price is first asked for: it takes a fifth of a second."""
    return import_module("genai_prices")


def _read(path: Path) -> Mapping[str, Price]:
    file = PROJECT_ROOT / path
    try:
        return _PRICES.validate_python(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise UnusableSettings(f"PRICES_FILE: {file} cannot be read ({error.strerror}).") from None
    except tomllib.TOMLDecodeError as error:
        raise UnusableSettings(f"PRICES_FILE: {file} is not valid TOML: {error}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UnusableSettings(
            f"PRICES_FILE: {file}, {place}: {first['msg']}. A model has input, output and, if it "
            "differs, cached, in US dollars for a million tokens."
        ) from None
