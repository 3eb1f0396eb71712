"""The built wheel, as a user would install it: nothing that the code needs may be left in the checkout."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_carries_everything(wheel: Path) -> None:
    """Documents and their sources, the lab's shims, scenarios and data, the type marker: all are inside."""
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "orchestrator").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    } | {
        "orchestrator/" + path.relative_to(ROOT).as_posix()
        for path in (ROOT / "documents").rglob("*")
        if path.is_file()
    }
    assert wanted <= names
    assert not {name for name in names if name.startswith("tests/")}


def test_the_wheel_works_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """Run from the wheel alone, the tool finds its documents, and they are what the checkout renders."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import orchestrator;"
        "assert orchestrator.__file__.startswith(sys.argv[1]), orchestrator.__file__;"
        "from orchestrator.cli.main import invoke;"
        "sys.exit(invoke(['documents', 'render', '--directory', sys.argv[2]]))"
    )
    arguments = [sys.executable, "-I", "-c", program, str(tmp_path / "site"), str(tmp_path / "out")]
    subprocess.run(arguments, check=True, capture_output=True, cwd=tmp_path)
    for path in (ROOT / "documents").glob("*.yaml"):
        assert (tmp_path / "out" / path.name).read_text() == path.read_text()


def test_the_wheel_renders_the_page(wheel: Path, tmp_path: Path) -> None:
    """Template, style and script of the HTML report are found in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from orchestrator.report import html, rows\n"
        "assert html.__file__.startswith(sys.argv[1]), html.__file__\n"
        "about = dict(run='r', cluster='c', region='', generation='', result='ok', halted='', restores='')\n"
        "run = rows.RunReport(**about, started_at=0.0, ended_at=1.0, exit_code=0, options={}, rows=())\n"
        "print(html.as_html(run))"
    )
    arguments = [sys.executable, "-I", "-c", program, str(tmp_path / "site")]
    done = subprocess.run(arguments, check=True, capture_output=True, cwd=tmp_path)
    assert b"<title>c: ok (run r)</title>" in done.stdout
