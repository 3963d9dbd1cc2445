"""What workers tell about themselves."""
