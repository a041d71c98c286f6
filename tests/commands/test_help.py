"""Every option of every command says what holds where it is not given."""

import argparse

from lkca.commands import batching, data, exporting, scenes, train_on, training, weights


def test_every_option_shows_its_default() -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    for group in (training, scenes, train_on, exporting, weights, batching, data):
        group.add(commands)
    silent = []
    for name, command in commands.choices.items():
        formatter = command._get_formatter()
        for action in command._actions:
            if action.option_strings and not isinstance(action, argparse._HelpAction):
                shown = formatter._expand_help(action)
                if "default: " not in shown or "default: None" in shown or "default: []" in shown:
                    silent.append((name, action.option_strings[0], shown))
    assert len(commands.choices) > 12 and not silent
