"""A secret that must be found nowhere, and the search for it in everything that can be shown."""

import base64
import traceback

USER = "zq7robotcanary"
PASSWORD = "Kx9vPzQw3LmN8rTb"
ENCODED = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def pieces(secret: str, size: int = 8) -> set[str]:
    """Every run of eight characters of a secret, as it is and in base64 at its three alignments."""
    texts = [secret]
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + secret.encode("utf-8", "surrogatepass")).decode()
        # The first group mixes with what stands in front, the last with what follows.
        texts.append(encoded[4:-4] if shift else encoded[:-4])
    return {text[at : at + size] for text in texts for at in range(len(text) - size + 1)}


CANARIES = pieces(USER) | pieces(PASSWORD) | pieces(ENCODED)


def leaked(shown: str, canaries: set[str] | None = None) -> list[str]:
    """Name the pieces of the secret that stand in what is shown."""
    return sorted(piece for piece in (CANARIES if canaries is None else canaries) if piece in shown)


def shown_of(error: BaseException) -> str:
    """Everything of an exception that a log or a terminal might show."""
    lines = traceback.format_exception(error)
    return "".join(line for line in lines if not line.lstrip().startswith("File ")) + repr(error) + str(error.args)
