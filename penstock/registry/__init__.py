"""A schema registry with Confluent's API: what is asked of it, and what a workflow has there."""
