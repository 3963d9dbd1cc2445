"""The read model: a SQLite file that is a fold of the topics and nothing else, so that it may be deleted at any time."""
