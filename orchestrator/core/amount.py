"""A number of instances, absolute or as a share of the fleet: `3` or `10%`."""

from dataclasses import dataclass

_WHOLE = 100


@dataclass(frozen=True, slots=True)
class Amount:
    """A count or a percentage; percentages round down."""

    value: int
    percent: bool

    @classmethod
    def parse(cls, text: str) -> "Amount":
        """Read `3` or `10%`. Raises ValueError for anything else, and for more than 100 %."""
        digits = text.removesuffix("%")
        if not (digits.isascii() and digits.isdigit()):
            raise ValueError(f"{text!r} is neither a whole number nor a percentage")
        amount = cls(int(digits), text.endswith("%"))
        if amount.percent and amount.value > _WHOLE:
            raise ValueError(f"{text!r} is more than everything")
        return amount

    @property
    def everything(self) -> bool:
        """Whether it is all there are, however many."""
        return self.percent and self.value == _WHOLE

    def of(self, total: int, *, at_least: int) -> int:
        """How many of `total` that is, never less than `at_least`."""
        count = total * self.value // _WHOLE if self.percent else self.value
        return max(count, at_least)

    def __str__(self) -> str:
        return f"{self.value}%" if self.percent else str(self.value)
