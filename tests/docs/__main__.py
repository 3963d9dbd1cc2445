"""Count the commands of the documentation: `python -m tests.docs` lists those that no test runs, with the reason; then those of sentences."""

from tests.docs.pages import blocks, name_of, pages
from tests.docs.test_named import BY_HAND


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
    for named, reason in BY_HAND.items():
        print(f"in a sentence: {named}  ({reason})")  # noqa: T201
    print(f"{run} commands are run")  # noqa: T201


if __name__ == "__main__":
    main()
