"""Unknown parameter names stop a notebook, told from the sources of its cells alone."""

import pytest

from lkca.batch.parameters import check_parameters

DECLARED = "# Parameters of this notebook\ndataset = 'synthetic'\nepochs = 20  # passes\n"


@pytest.mark.parametrize("injected", ["# Parameters\nepochs = 3\n", "# Parameters\ndataset = 'x'\nepochs = 1\n"])
def test_known_names_pass(injected: str) -> None:
    check_parameters(["", DECLARED, injected])


def test_nothing_injected_passes() -> None:
    check_parameters(["import lkca", DECLARED, "anything = 1"])


def test_unknown_name_is_named_with_the_likely_one() -> None:
    with pytest.raises(ValueError, match=r"no parameter 'epoch'. Did you mean 'epochs'\? It has: dataset, epochs"):
        check_parameters([DECLARED, "# Parameters\nepoch = 3\n"])


def test_only_the_last_run_counts() -> None:
    """In JupyterLab the cells of an earlier try are still there."""
    check_parameters([DECLARED, "# Parameters\nepoch = 3\n", DECLARED, "# Parameters\nepochs = 3\n"])
