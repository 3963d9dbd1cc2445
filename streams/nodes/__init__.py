"""The node kinds: each takes an attempt's input and gives back an outcome. None of them knows topics, tables or retries."""

from streams.nodes.context import HandlerContext
from streams.nodes.kinds import Node, build
from streams.nodes.resources import Resources

__all__ = ["HandlerContext", "Node", "Resources", "build"]
