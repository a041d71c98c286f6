"""The table of the campaign: tries by category and outcome, printed at the end; and how much is tried."""

import os
from collections import Counter
from collections.abc import Callable

import pytest

FULL = os.environ.get("LKCA_FAULTS") == "full"  # `make faults`; `make test` takes a sample
OUTCOMES = ("equal", "refused", "warned", "numbers", "description", "silent")
"""What comes of a fault. numbers, description : pixels, or what the file says of them, are others without a word, where
the file holds nothing that could tell it (docs/trust.md says where). silent : the same anywhere else, or an error that
does not name the file; that is a failure."""
COUNTS: dict[str, Counter[str]] = {}


@pytest.fixture
def tried() -> Callable[[str, str, object], None]:
    """Count a try by category and outcome, and fail where that is "silent"; the last argument says what was tried."""

    def count(category: str, outcome: str, what: object) -> None:
        COUNTS.setdefault(category, Counter())[outcome] += 1
        assert outcome in OUTCOMES and outcome != "silent", f"{category}: {what}"

    return count


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not COUNTS:
        return
    total = sum(COUNTS.values(), Counter())
    rows = [*COUNTS.items(), (f"all, {sum(total.values())} tries", total)]
    width = max(len(name) for name, _ in rows)
    terminalreporter.write_line(f"{'faults':<{width}}" + "".join(f"{outcome:>12}" for outcome in OUTCOMES))
    for name, counts in rows:
        terminalreporter.write_line(f"{name:<{width}}" + "".join(f"{counts[outcome]:>12}" for outcome in OUTCOMES))
