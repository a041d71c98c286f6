"""What a command costs before it begins: a study starts one for every run."""

import subprocess
import sys


def test_no_command_waits_for_what_only_the_report_needs() -> None:
    """nbformat takes two seconds of a core to import, for each of the quick study's seventy runs."""
    code = "import sys, lkca.__main__; print(*{'nbformat', 'nbconvert', 'matplotlib', 'seaborn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
