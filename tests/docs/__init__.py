"""The documentation, tried: its commands run, its snippets are valid, its links lead somewhere."""
