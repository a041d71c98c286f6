"""The command line: a file is a group of commands, its `add` declares them."""

import argparse


class Defaults(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the default of every option, unless its help says in words what holds where it is not given."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if "default: " in (action.help or "") else super()._get_help_string(action)
