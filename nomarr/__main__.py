"""`nomarr` and `python -m nomarr`."""


def main() -> None:
    """Run the command line."""
    # Imported here: the processes that read tags load this module but never need the terminal.
    from nomarr.interfaces.cli.main_cli import run

    run()


if __name__ == "__main__":
    main()
