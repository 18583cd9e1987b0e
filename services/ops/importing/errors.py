"""Why a file can't be imported."""

from __future__ import annotations


class UnknownSourceError(Exception):
    """The file is none that can be imported; the message says which can."""


class DataMissingError(Exception):
    """A package that the import needs is not installed; the message says which."""


class AccountError(Exception):
    """The fates of the rows do not add up to the rows of the source: some were lost or counted twice."""
