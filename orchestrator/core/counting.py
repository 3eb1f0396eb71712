"""A number and what it counts, as one says it."""


def counted(count: int, noun: str) -> str:
    """Say `1 task`, `2 tasks`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
