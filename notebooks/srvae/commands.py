"""What all commands share: the words of the command line, and the processes of a launcher."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accelerate import PartialState

MINUTES = 2  # that processes wait for each other at the start
FOR_EVER = timedelta(days=30)  # afterwards: one process may have far more to do than another


def parse(
    parser: argparse.ArgumentParser, words: Sequence[str] | None, *, may_be_empty: bool = False
) -> argparse.Namespace:
    """Parse the words of a command; None takes the process's own.

    Raises:
        SystemExit: with 2 if the words are not understood, or if there are none, after printing the help.
    """
    words = sys.argv[1:] if words is None else words
    if not words and not may_be_empty:
        parser.print_help(sys.stderr)
        parser.exit(2)
    return parser.parse_args([expand_user(word) for word in words])


def expand_user(word: str) -> str:
    """Replace ~ at the start of a word or, as in --to=~/x, which shells leave as it is, of an option's value."""
    option, equals, value = word.partition("=")
    if equals and option.startswith("-"):
        return f"{option}={os.path.expanduser(value)}"
    return os.path.expanduser(word)


def join_launcher(*, cpu: bool) -> PartialState | None:
    """Join the processes that ``accelerate launch`` or ``torchrun`` started; None if this process was started alone.

    RANK, WORLD_SIZE and the like mean nothing without a launcher, since they may be left over in a shell.

    Raises:
        ValueError: the processes did not all join within two minutes, or the launcher's variables are invalid.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    import torch.distributed  # here: `srvae --help` needs neither of them
    from accelerate import PartialState

    where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
    if os.environ.get("RANK") == "0" and not torch.distributed.is_initialized():
        print(f"joining {os.environ.get('WORLD_SIZE')} processes at {where}", file=sys.stderr, flush=True)
    # A process that finds no other one connects twice, each time with torch's limit.
    timer = threading.Timer(60 * MINUTES + 5, _give_up, [where])
    timer.daemon = True
    timer.start()
    # torch waits without looking for signals, so Ctrl-C must end the process by itself.
    interrupt = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        state = PartialState(cpu=cpu, timeout=timedelta(minutes=MINUTES))
        if torch.distributed.is_initialized():
            torch.distributed.distributed_c10d._set_pg_timeout(FOR_EVER)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"the launcher's processes did not join at {where} in {MINUTES} minutes: {reason}") from error
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, interrupt)
    return state


def _give_up(where: str) -> None:
    print(f"error: the launcher's processes did not join at {where} in {MINUTES} minutes", file=sys.stderr, flush=True)
    os._exit(2)  # the main thread waits inside torch
