"""`python -m penstock.localmodel --port N`: serve the local model until SIGTERM."""

import argparse
import sys

from penstock.localmodel import server
from penstock.localmodel.errors import LocalModelError


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m penstock.localmodel", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, default=server.default_threads())
    arguments = parser.parse_args()
    try:
        server.serve(arguments.port, arguments.threads)
    except LocalModelError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
