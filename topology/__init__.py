"""What is wired: a workflow file becomes a spec, and the spec a frozen plan. Nothing here runs a workflow or talks to Kafka."""
