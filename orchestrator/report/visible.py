"""Others' words, made safe to show: names and messages from AWS and instances, for which nobody vouches."""


def visible(text: str) -> str:
    """Write out what a reader would not see: control characters, what turns the direction of text, lone surrogates.

    White space of any kind becomes a blank, so that the text stays one line. What every form of a report needs beyond
    this, HTML's or CSV's own dangers, is that form's to see to.
    """
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else character.encode("unicode_escape").decode("ascii")
