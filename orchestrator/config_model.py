"""The configuration file's settings as a pydantic model, made from the flags. Imported only where there is a file."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    create_model,
)
from pydantic_core import PydanticCustomError

USE = "use"
"""The table of tables: `[use.web]` is taken by `--use web`."""

REFUSED = "refused_by_the_flag"
UNKNOWN = "extra_forbidden"
"""What pydantic's errors are called: the flag itself refuses the value, and there is no such setting."""

_FIELD = "{}_"
"""Names of the model's fields: no setting can hide an attribute of BaseModel."""


class Kind(StrEnum):
    """What the file may hold for a setting. FORM: a text of a certain form; a bare number or moment is one, too."""

    SWITCH = "true or false"
    WHOLE = "a whole number"
    NUMBER = "a number"
    CHOICE = "one of"
    TEXT = "a text in quotes"
    FORM = "a text in quotes of the form"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A flag that a file may hold. `check` raises ValueError with what the flag itself has against a text.

    `form`: how a FORM is written; `pattern`: the same for editors; `least`: the smallest number.
    """

    name: str
    kind: Kind
    help: str
    check: Callable[[str], None]
    repeated: bool = False
    choices: tuple[str, ...] = ()
    least: float | None = None
    form: str = ""
    pattern: str = ""

    @property
    def expected(self) -> str:
        """Say what its value must be."""
        one = f"{self.kind} {self.form}" if self.kind is Kind.FORM else str(self.kind)
        one = f"{one} {', '.join(self.choices)}" if self.choices else one
        return f"{one}, or a list of such" if self.repeated else one


def text_of(value: object) -> str:
    """Write a TOML value as a flag's text; a moment in ISO 8601."""
    return value.isoformat() if isinstance(value, date | time) else str(value)


def model_of(settings: Sequence[Setting]) -> type[BaseModel]:
    """Make the model of a file from the settings there are."""
    strict = ConfigDict(extra="forbid", field_title_generator=lambda _name, field: str(field.alias))
    fields: dict[str, Any] = {_FIELD.format(each.name.replace("-", "_")): _field(each) for each in settings}
    table = create_model("Settings", __config__=strict, **fields)
    # The table's type is made here, which no annotation can say.
    tables: Any = (
        dict[str, table],  # type: ignore[valid-type]
        Field(default_factory=dict, alias=USE, description=f"Settings by name: `--{USE} NAME` takes one of these."),
    )
    return create_model("Configuration", __base__=table, **{_FIELD.format(USE): tables})


def _field(setting: Setting) -> tuple[object, object]:
    one: Any = Annotated[_type(setting), AfterValidator(_checked(setting)), *_for_editors(setting)]
    kind = one | list[one] if setting.repeated else one
    # A factory: no default stands in the schema, where `null` would be one that TOML cannot write.
    return kind, Field(default_factory=lambda: None, alias=setting.name, description=setting.help)


def _type(setting: Setting) -> object:
    match setting.kind:
        case Kind.SWITCH:
            return StrictBool
        case Kind.WHOLE:
            return StrictInt
        case Kind.NUMBER:
            return StrictFloat
        case Kind.CHOICE:
            return Literal[setting.choices]
        case Kind.TEXT:
            return StrictStr
        case Kind.FORM:
            return StrictStr | StrictInt | Annotated[datetime, Field(strict=True)]


def _for_editors(setting: Setting) -> Iterator[object]:
    """Say in the schema what only the flag itself checks."""
    match setting.kind:
        case Kind.WHOLE | Kind.NUMBER if setting.least is not None:
            kind = "integer" if setting.kind is Kind.WHOLE else "number"
            yield WithJsonSchema({"type": kind, "minimum": setting.least})
        case Kind.FORM:
            text = {"type": "string"} | ({"pattern": setting.pattern} if setting.pattern else {})
            yield WithJsonSchema({"anyOf": [text, {"type": "integer", "minimum": 0}]} if _counts(setting) else text)
        case _:
            return


def _counts(setting: Setting) -> bool:
    """Say whether a bare number is right for a setting."""
    try:
        setting.check("1")
    except ValueError:
        return False
    return True


def _checked(setting: Setting) -> Callable[[object], object]:
    def check(value: object) -> object:
        if not isinstance(value, bool):
            try:
                setting.check(text_of(value))
            except ValueError as error:
                raise PydanticCustomError(REFUSED, "{said}", {"said": str(error)}) from error
        return value

    return check


def schema_of(settings: Sequence[Setting]) -> dict[str, object]:
    """Give the JSON Schema of a file, for editors."""
    made = model_of(settings).model_json_schema(by_alias=True)
    title = "The configuration file of ecs-rollout"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": title}
