"""Questions to the read model: each takes a connection that sees one state of it, and returns a shape of the API."""
