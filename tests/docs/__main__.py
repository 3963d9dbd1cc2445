"""Count the commands of the documentation: `python -m tests.docs` lists those of blocks that `make test` does not run, with the reason; then those of sentences that `make test-docs` runs."""

from tests.docs.pages import blocks, name_of, pages
from tests.docs.test_named import LONG


def main() -> None:
    """Print them."""
    run = 0
    for page in pages():
        for block in blocks(page):
            for command in block.commands():
                if block.not_run is None:
                    run += 1
                else:
                    print(f"{name_of(page)}:{command.line}: {command.text}  ({block.not_run})")  # noqa: T201
    for named, (command, _) in LONG.items():
        print(f"in a sentence: {named}  (make test-docs: {command})")  # noqa: T201
    print(f"{run} commands of blocks are run")  # noqa: T201


if __name__ == "__main__":
    main()
