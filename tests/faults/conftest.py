"""The campaign's figures: tries and failures by category, printed at the end."""

import os
from collections import Counter
from collections.abc import Callable

import pytest

FULL = os.environ.get("LKCA_FAULTS") == "full"  # `make faults`; `make test` takes a sample
TRIES, FAILED = Counter(), Counter()


@pytest.fixture
def tried() -> Callable[[str, bool, object], None]:
    """Counts a try, and stops where it failed; takes its category, whether all was well, and what was tried."""

    def count(category: str, well: bool, what: object) -> None:
        TRIES[category] += 1
        FAILED[category] += not well
        assert well, f"{category}: {what}"

    return count


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TRIES:
        terminalreporter.write_line(f"faults: {sum(TRIES.values())} tries, {sum(FAILED.values())} failures")
        for category, tries in sorted(TRIES.items()):
            terminalreporter.write_line(f"  {category}: {tries} tries, {FAILED[category]} failures")
