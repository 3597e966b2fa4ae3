"""`nomarr` and `python -m nomarr`."""

import gc


def main() -> None:
    """Run the command line."""
    # Imports make much that lives as long as the process; looking for garbage in it takes a tenth of the start.
    # `run_command` turns it on again.
    gc.disable()
    from nomarr.interfaces.cli.main_cli import run

    run()


if __name__ == "__main__":
    main()
