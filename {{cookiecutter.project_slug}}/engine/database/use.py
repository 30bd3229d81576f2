"""The use of models, in tokens and money."""

from dataclasses import dataclass
from decimal import Decimal

NO_MONEY = Decimal(0)
# The name under which the demo model's turns are counted, which cost nothing.
DEMO = "demo"


@dataclass(frozen=True)
class Use:
    """Tokens of one model. `cached` are among the `tokens_in`; `cost` is in US dollars.

    `unpriced` tokens are those of a model without a known price.
    """

    tokens_in: int = 0
    tokens_out: int = 0
    cached: int = 0
    cost: Decimal = NO_MONEY
    unpriced: int = 0

    def __add__(self, other: "Use") -> "Use":
        return Use(
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            self.cached + other.cached,
            self.cost + other.cost,
            self.unpriced + other.unpriced,
        )

    @property
    def tokens(self) -> int:
        return self.tokens_in + self.tokens_out
