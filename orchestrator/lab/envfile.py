"""How ecs-init reads an env file: the dialect that makes the agent's environment (F40)."""

# What Go's strings.TrimSpace removes; Python's strip() also removes U+001C..U+001F.
GO_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


class EmptyName(ValueError):  # noqa: N818 - named for what was found
    """A line like `=x`: ecs-init makes no agent from such a file (F40)."""


def read_env_file(text: str) -> dict[str, str]:
    """Return the variables of `text` as ecs-init passes them on; raises EmptyName."""
    found: dict[str, str] = {}
    for raw in text.split("\n"):
        name, equals, value = raw.strip(GO_SPACE).partition("=")
        if not equals:
            continue
        if not name:
            raise EmptyName("a line has no name before its '='")
        found[name] = value
    return found
