"""The console: a read model folded from the topics, a REST API over it, server-sent events and a page. It decides nothing about a run."""
