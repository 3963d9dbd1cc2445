"""The command line: arguments in, lines out. What is no matter of a terminal is in `penstock.client`."""
