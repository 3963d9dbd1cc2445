"""The page that shows what a shadow came to: one file that needs nothing else, and holds data as data."""

from penstock.report.page import Page

__all__ = ["Page"]
