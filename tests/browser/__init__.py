"""The console in a real browser: `make test-browser`. Plain `make test` does not come here."""
