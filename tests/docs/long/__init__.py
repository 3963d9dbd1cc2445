"""What takes minutes, the network or Docker: `make test-docs`. Plain `make test` does not come here."""
