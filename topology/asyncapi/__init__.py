"""A workflow as an AsyncAPI 3 document: every public topic with its messages, headers, schemas, and who writes and reads it.

Made from the topology alone, so it says what the workers do; nothing here is written by hand per workflow.
"""

from topology.asyncapi.document import document

__all__ = ["document"]
