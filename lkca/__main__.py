"""Command line: `python -m lkca --help`."""

import argparse
import sys
import warnings
from collections.abc import Sequence

from lkca.commands import batching, data, exporting, scenes, training, weights


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0 done, 1 not (all) done, for reasons that were printed."""
    parser = argparse.ArgumentParser(prog="python -m lkca", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for group in (training, scenes, exporting, weights, batching, data):
        group.add(commands)
    given = parser.parse_args(arguments)
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    try:
        return 0 if given.do(given) is not False else 1
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last finished epoch", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
