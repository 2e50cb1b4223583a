"""What `lab up` would fetch and build first, made while other tests run: two caches, nothing else.

Whatever fails here is said by `lab up`, which then does it itself.
"""

from __future__ import annotations

import sys

from hactl.deploy import wheelhouse
from hactl.errors import HactlError
from hactl.lab import image
from hactl.lab.topology import prefix
from tests.support.labs import NAME


def main() -> None:
    """The builder runs in a control group of the lab that needs it, as with `lab up`: `lab down` ends it."""
    wheelhouse.build(wheelhouse.cache_folder())
    image.ensure(image.recipe(), f"{prefix(NAME)}image", lambda _: None)


if __name__ == "__main__":
    try:
        main()
    except HactlError as error:
        sys.exit(error.message)
