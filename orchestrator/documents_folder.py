"""Reads the documents' shell sources and shipped YAML, from the checkout or from inside the wheel."""

from collections.abc import Mapping
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def documents_folder() -> Path:
    """Find documents/: inside the package in a wheel, beside it in a checkout or an editable install.

    Raises FileNotFoundError where there is neither.
    """
    for folder in (_PACKAGE / "documents", _PACKAGE.parent / "documents"):
        if (folder / "src").is_dir():
            return folder
    raise FileNotFoundError("documents/src is missing: the installation is incomplete")


def document_sources() -> Mapping[str, str]:
    """Read every file of documents/src, by name."""
    files = sorted((documents_folder() / "src").glob("*.sh"))
    return {path.name: path.read_text(encoding="ascii") for path in files}


def shipped_documents() -> Mapping[str, str]:
    """Read the rendered documents that are shipped, by kind: inspect, apply, restore."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(documents_folder().glob("*.yaml"))}
