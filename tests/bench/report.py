"""What an HTML report costs: its size, the time to render it, and a browser's time to load and to filter it.

`python -m tests.bench.report` prints a table; seconds are this machine's.
"""

import sys
import tempfile
import time
from pathlib import Path

from tabulate import tabulate

from orchestrator.report.render import exit_code_of, render_report
from tests.browser import chromium
from tests.report.reports import large

FILTER = """
(() => {
  const began = performance.now();
  const input = document.querySelector("input");
  input.value = "failed";
  input.dispatchEvent(new Event("input", { bubbles: true }));
  document.body.getBoundingClientRect();
  return performance.now() - began;
})()
"""
LOADED = "performance.getEntriesByType('navigation')[0].loadEventEnd"


def main() -> None:
    """Print the table."""
    sizes = [int(argument) for argument in sys.argv[1:]] or [50, 500, 5_000]
    rows = []
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        for count in sizes:
            state = large(count)
            began = time.process_time()
            page = render_report(state, "html", exit_code_of(state))
            rendered = time.process_time() - began
            path = Path(folder) / f"{count}.html"
            path.write_text(page)
            tab = browser.page(path)
            size = path.stat().st_size
            rows.append((count, size // 1024, size // count, rendered, tab.evaluate(LOADED), tab.evaluate(FILTER)))
            tab.close()
    headers = ("instances", "KB", "bytes each", "render CPU s", "load ms", "filter ms")
    sys.stdout.write(tabulate(rows, headers=headers, floatfmt=".2f") + "\n")


if __name__ == "__main__":
    main()
