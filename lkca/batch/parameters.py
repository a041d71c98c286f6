"""Parameters of a notebook: names that it does not know stop it, wherever it runs; and where what it makes goes.

papermill writes the parameters it was given into a cell of their own and only warns about names that the notebook
does not have, so that a typo would silently run the defaults.
"""

import ast
import difflib
from collections.abc import Sequence

from lkca.paths import write_apart

DECLARED = "# Parameters of this notebook"  # first line of the cell tagged "parameters"
INJECTED = "# Parameters"  # first line of the cell that papermill adds


def check_parameters(cells: Sequence[str]) -> None:
    """Stop if a parameter was injected that the notebook does not declare; opened by hand, let it write apart.

    Parameters
    ----------
    cells : sources of the cells run so far: IPython's `In`.

    Raises
    ------
    ValueError
        Naming the unknown parameter, the likely one, and all that there are.
    """
    declared: set[str] = set()
    injected: set[str] = set()
    for source in cells:
        first = source.strip().split("\n", 1)[0].strip()
        if first == DECLARED:
            declared, injected = _assigned(source), set()
        elif first == INJECTED:
            injected = _assigned(source)
    for name in sorted(injected - declared):
        similar = difflib.get_close_matches(name, declared, n=1)
        hint = f" Did you mean {similar[0]!r}?" if similar else ""
        raise ValueError(f"this notebook has no parameter {name!r}.{hint} It has: {', '.join(sorted(declared))}")
    write_apart()


def _assigned(source: str) -> set[str]:
    """Names assigned at the top level of a cell."""
    return {
        target.id
        for statement in ast.parse(source).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
