"""Failures that a user can understand and act on, told in one message without a traceback.

Anything else that is raised is a fault of the program and keeps its traceback.
"""

from __future__ import annotations


class Failure(RuntimeError):  # noqa: N818 -- the base that FooError classes share, never raised by itself
    """The work failed; the message says where and why. The command line exits with ``exit_code``."""

    exit_code = 1
