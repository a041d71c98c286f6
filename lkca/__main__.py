"""Command line: `python -m lkca --help`."""

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence

import lkca

GOES_ON = {  # what an interrupted command does when it is given again; the others begin anew
    "train": "goes on from the last finished epoch",
    "train-on": "goes on from the last finished epoch",
    "run": "goes on from the last finished epoch",
    "study": "goes on with what is missing",
    "fetch": "goes on from the last byte",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0 done, 1 not (all) done, for reasons that were printed."""
    given = None
    try:
        # Here, so that Ctrl-C while they are loaded, for seconds, is answered as well.
        from lkca.commands import batching, data, exporting, scenes, train_on, training, weights

        parser = argparse.ArgumentParser(prog="python -m lkca", description=__doc__)
        parser.add_argument("--version", action="version", version=f"lkca {lkca.__version__}")
        commands = parser.add_subparsers(dest="command", required=True)
        for group in (training, scenes, train_on, exporting, weights, batching, data):
            group.add(commands)
        given = parser.parse_args(arguments)
        warnings.showwarning = _said_once()
        return 0 if given.do(given) is not False else 1
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except MemoryError as error:
        print(f"error: not enough memory ({error}): give a smaller scene, or part of it", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        then = GOES_ON.get(given.command if given else "", "begins anew: nothing half-finished was left")
        print(f"interrupted; the same command {then}", file=sys.stderr)
        return 130


def _said_once() -> Callable[..., None]:
    """Prints warnings; each once, for a command opens a file more than once."""
    said: set[str] = set()

    def show(message: Warning | str, *_: object) -> None:
        if str(message) not in said:
            said.add(str(message))
            print(f"warning: {message}", file=sys.stderr)

    return show


if __name__ == "__main__":
    sys.exit(main())
