"""Penstock as a neighbour of other stream libraries."""
