"""Count the commands of the documentation: `python -m tests.docs` lists those that no test runs, with the reason."""

from tests.docs.pages import blocks, name_of, pages


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
    print(f"{run} commands are run")  # noqa: T201


if __name__ == "__main__":
    main()
