"""Lines of keys in a TOML file."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.toml_lines import line_of, lines_of

TRICKY = '''\
# a comment = "no key"
cluster = "web" # [no.table]

"quoted key" = 1
text = """
[use.no]
cluster = "still text"
"""
literal = \'\'\'
bake = "x" # '''

REST = """'''
list = [
  "a]", # ]
  [1,
   2],
]
use.dotted.region = "x"

  [use.web] # the table
cluster = "b"
[use . "two words"]
inline = { a = 1, b = { c = 2 } }
last = 1"""


def test_each_key_has_the_line_where_its_statement_begins() -> None:
    """Strings, comments, brackets and quotes of every kind mislead nobody."""
    assert lines_of(TRICKY + REST) == {
        ("cluster",): 2,
        ("quoted key",): 4,
        ("text",): 5,
        ("literal",): 9,
        ("list",): 11,
        ("use",): 16,
        ("use", "dotted"): 16,
        ("use", "dotted", "region"): 16,
        ("use", "web"): 18,
        ("use", "web", "cluster"): 19,
        ("use", "two words"): 20,
        ("use", "two words", "inline"): 21,
        ("use", "two words", "inline", "a"): 21,
        ("use", "two words", "inline", "b"): 21,
        ("use", "two words", "inline", "b", "c"): 21,
        ("use", "two words", "last"): 22,
    }


def test_a_key_without_a_line_has_that_of_what_is_around_it() -> None:
    """Arrays of tables and unknown paths fall back to the nearest line there is."""
    lines = lines_of('a = 1\n\n[[many]]\nx = 1\n[[many]]\nx = "y"\n')
    assert line_of(lines, ("many", "x")) == 4
    assert line_of(lines, ("many", "x", "deep")) == 4
    assert line_of(lines, ("nowhere",)) == 1


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing"])
def test_an_empty_file_has_no_lines(text: str) -> None:
    """A file without settings is read, too."""
    assert lines_of(text) == {}


VALUES = st.sampled_from(
    [
        "1",
        '"x = 1"',
        "'#'",
        '"""\n[a]\n\n"""',
        "'''\nb = 2'''",
        "[\n1, # ]\n2\n]",
        "{ x = [\n1 ] }",
        "2026-01-01T00:00:00Z",
    ]
)
BETWEEN = st.sampled_from(["", "\n", "# [t]\n", "  # x = 1\n\n"])


@given(st.lists(st.tuples(BETWEEN, st.booleans(), VALUES, st.sampled_from(["", " # c", " # ']"])), max_size=12))
def test_lines_are_those_that_the_file_was_made_with(parts: list[tuple[str, bool, str, str]]) -> None:
    """Whatever stands between, before and inside: a key's line is where it was written."""
    text = ""
    expected: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, (between, header, value, comment) in enumerate(parts):
        text += between
        line = text.count("\n") + 1
        if header:
            table = (f"t{number}",)
            text += f"[t{number}]{comment}\n"
            expected[table] = line
        else:
            text += f"k{number} = {value}{comment}\n"
            expected[(*table, f"k{number}")] = line
    tomllib.loads(text)  # what was made is TOML
    found = lines_of(text)
    assert {path: found[path] for path in expected} == expected
