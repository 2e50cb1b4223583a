"""What no second try may hide: seen once, it is wrong."""

from __future__ import annotations


class Violation(AssertionError):
    """A promise was broken: an acknowledged row or image missing, two writers, a door open without a lease.

    `./bootstrap test` runs every other failed test with servers once more, and says so; with this one it does
    not.
    """
