"""`nomarr` and `python -m nomarr`."""

import gc
import os
import signal


def main() -> None:
    """Run the command line."""
    # Nothing is done yet that an end could harm, and Python's own answer to Ctrl-C is a traceback. `run` sets others.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: os._exit(128 + number))
    # Imports make much that lives as long as the process; looking for garbage in it takes a tenth of the start.
    # `run_command` turns it on again.
    gc.disable()
    from nomarr.interfaces.cli.main_cli import run

    run()


if __name__ == "__main__":
    main()
