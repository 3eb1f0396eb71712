"""Whom a run is about: the pure matching of instances, their attributes and their tags."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from orchestrator.core.model import Instance
from orchestrator.core.reasons import Reason

ANY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What a selection may ask beside an instance itself: its ECS attributes and its tags.

    They are read only where a selection asks for them, and no journal holds them.
    """

    attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


NO_LABELS = Labels()


@dataclass(frozen=True, slots=True)
class Mark:
    """An attribute or a tag by its name and its exact value; ANY value where none is named."""

    name: str
    value: str = ANY

    @classmethod
    def parse(cls, text: str) -> "Mark":
        """Read `NAME`, `NAME=VALUE` or `NAME=*`. Raises ValueError for one without a name."""
        name, equals, value = text.partition("=")
        if not name:
            raise ValueError(f"{text!r} names nothing: write NAME or NAME=VALUE")
        return cls(name, value if equals else ANY)

    def among(self, found: Mapping[str, str]) -> bool:
        """Say whether it is there."""
        return self.name in found and self.value in {ANY, found[self.name]}

    def __str__(self) -> str:
        return self.name if self.value == ANY else f"{self.name}={self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Some instances: any of the named ones, in any of the named zones, with all of the attributes and tags.

    What is empty asks nothing, so an empty filter lets everybody through.
    """

    instances: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    attributes: tuple[Mark, ...] = ()
    tags: tuple[Mark, ...] = ()

    def lets(self, instance: Instance, labels: Labels) -> bool:
        """Say whether an instance is among them."""
        return (
            (not self.instances or instance.instance_id in self.instances)
            and (not self.zones or instance.zone in self.zones)
            and all(each.among(labels.attributes) for each in self.attributes)
            and all(each.among(labels.tags) for each in self.tags)
        )

    def parts(self) -> Iterator[tuple[str, "Filter"]]:
        """Give each thing that it asks alone, worded as its flag."""
        yield from ((f"--instance {each}", Filter(instances=(each,))) for each in self.instances)
        yield from ((f"--zone {each}", Filter(zones=(each,))) for each in self.zones)
        yield from ((f"--attribute {each}", Filter(attributes=(each,))) for each in self.attributes)
        yield from ((f"--tag {each}", Filter(tags=(each,))) for each in self.tags)


@dataclass(frozen=True, slots=True)
class Exclusion:
    """One thing that keeps an instance out: its id, or its zone, an attribute or a tag."""

    text: str
    filter: Filter

    @classmethod
    def parse(cls, text: str) -> "Exclusion":
        """Read an instance's id, `zone:NAME`, `attribute:NAME[=VALUE]` or `tag:KEY[=VALUE]`.

        Raises ValueError for anything else.
        """
        kind, colon, rest = text.partition(":")
        made = _KINDS.get(kind) if colon and rest else None
        if made is not None:
            return cls(text, made(rest))
        if colon or not text.startswith(("i-", "mi-")):
            raise ValueError(
                f"{text!r} excludes nobody: write an instance's id, zone:NAME, attribute:NAME[=VALUE] "
                "or tag:KEY[=VALUE]"
            )
        return cls(text, Filter(instances=(text,)))


_KINDS: Mapping[str, Callable[[str], Filter]] = MappingProxyType(
    {
        "zone": lambda rest: Filter(zones=(rest,)),
        "attribute": lambda rest: Filter(attributes=(Mark.parse(rest),)),
        "tag": lambda rest: Filter(tags=(Mark.parse(rest),)),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Those that `wanted` lets through, but for those that any exclusion names: to exclude wins."""

    wanted: Filter = field(default_factory=Filter)
    excluded: tuple[Exclusion, ...] = ()

    @property
    def asks_labels(self) -> bool:
        """Whether attributes or tags must be known."""
        filters = (self.wanted, *(each.filter for each in self.excluded))
        return any(each.attributes or each.tags for each in filters)

    def leaves_out(self, instance: Instance, labels: Labels = NO_LABELS) -> Reason | None:
        """Say why an instance is left out; None where it is selected."""
        if any(each.filter.lets(instance, labels) for each in self.excluded):
            return Reason.EXCLUDED
        return None if self.wanted.lets(instance, labels) else Reason.NOT_SELECTED

    def unmatched(self, fleet: Iterable[Instance], labels: Mapping[str, Labels]) -> tuple[str, ...]:
        """Name the flags of which each alone fits no instance of `fleet`. `labels` by ARN."""
        known = [(each, labels.get(each.arn, NO_LABELS)) for each in fleet]
        asked = [*self.wanted.parts(), *((f"--exclude {each.text}", each.filter) for each in self.excluded)]
        return tuple(text for text, part in asked if not any(part.lets(*each) for each in known))


EVERYBODY = Selection()
