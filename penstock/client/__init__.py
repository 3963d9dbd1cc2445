"""What the command line does beyond the terminal: publish, read results, fold the state of runs, delete a workflow's topics."""
