"""The command line: a file is a group of commands, its `add` declares them."""
