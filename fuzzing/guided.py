"""One target in one process, guided by coverage: libFuzzer runs it (atheris), and ends the process.

It is started by `fuzzing.campaign`: `python -m fuzzing.guided TARGET [options of libFuzzer] FOLDER`.
"""

import asyncio
import sys

import atheris

#: Whose code is watched, beside the libraries that are written in Python.
WATCHED = ["septet", "hpack"]


def main() -> None:
    """Run until libFuzzer ends the process."""
    name = sys.argv.pop(1)
    asyncio.set_event_loop(asyncio.new_event_loop())
    with atheris.instrument_imports(include=WATCHED, enable_loader_override=False):
        from fuzzing.targets import check_of

        check = check_of(name)
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
