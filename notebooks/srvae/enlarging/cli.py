"""Enlarge photographs 4 or 8 times, file by file or whole folders.

srvae enlarge photo.jpg --to enlarged                 # enlarged/photo.jpg, 4 times larger
srvae enlarge holiday scans --to enlarged --scale 8   # whole folders, subfolders as they are
srvae enlarge photo.jpg --to enlarged --model P --temperature 1 --samples 4 --format png

Answers that are there already are not made again, unless the file, the settings or the weights have changed since.
A file that cannot be enlarged is named at the end while the others go on. `accelerate launch` in the place of
`python` shares the files among GPUs and machines.

Exit code: 0, all answers are there; 1, some could not be made; 2, the command was not understood; 130, stopped.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, redirect_stderr
from pathlib import Path
from types import FrameType

import srvae_core as sr
from srvae.csvfiles import InUseError, check_writable, only_writer

from .jobs import find_jobs
from .settings import Settings, settings_of
from .sharing import Crew
from .tasks import Task, plan, reason_of
from .work import work
from .writers import FORMATS

LOCK = ".enlarge"  # stands for the folder of answers where one command at a time writes into it
ENDINGS = {kind: kind for kind in FORMATS} | {"tiff": "tif", "jpeg": "jpg"}  # what --format takes -> a kind


def main(arguments: Sequence[str] | None = None, peak_memory: Callable[[], float] | None = None) -> int:
    """Run the command; see the module's docstring.

    Args:
        arguments: words of the command line; None takes the process's own.
        peak_memory: says the peak memory of this process in GiB, for ``--memory``.

    Returns:
        The exit code.

    Raises:
        SystemExit: with code 2, the command was not understood.
    """
    options = _parsed(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # names of files may have letters that the terminal has not
            stream.reconfigure(errors="backslashreplace")
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        code = _run(options)
    except KeyboardInterrupt:
        print("stopped: what is finished stays; the same command goes on with the rest", file=sys.stderr)
        code = 130
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)  # None: set by what is not Python
    if options.memory and peak_memory:
        print(f"peak memory {peak_memory():.2f} GiB")
    return code


def _stop(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C does, when a system or a launcher says so: nothing half-written stays."""
    raise KeyboardInterrupt


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="srvae enlarge", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="image files, and folders of them")
    parser.add_argument("--to", required=True, type=Path, metavar="FOLDER", help="where the answers go")
    parser.add_argument("--scale", type=int, choices=sr.SCALES, help="4 unless the model is of another")
    parser.add_argument("--model", default="D", help="D (default) or P, a name such as 4x-D, or a .safetensors file")
    parser.add_argument("--temperature", type=float, help="of samples; default: the model's own (D: 0)")
    parser.add_argument("--seed", type=int, default=0, help="of the noise, or of the first sample (default 0)")
    parser.add_argument(
        "--samples", type=_count, default=1, metavar="N", help="answers a file, with seeds that count up"
    )
    parser.add_argument(
        "--precision",
        choices=sr.PRECISIONS,
        default="auto",
        help="float32: the same everywhere, to a level (default: auto)",
    )
    parser.add_argument("--format", choices=sorted(ENDINGS), help="of the answers; default: that of each file")
    parser.add_argument("--overwrite", action="store_true", help="make again what is there, whatever made it")
    parser.add_argument("--dry-run", action="store_true", help="list what would be made, and make nothing")
    parser.add_argument("--device", help='for example "cpu" or "cuda:1"; default: a GPU where there is one')
    parser.add_argument(
        "--pixel-limit", type=_count, default=sr.PIXEL_LIMIT, metavar="N", help="largest file in pixels"
    )
    parser.add_argument("--memory", action="store_true", help="print the peak memory of this process at the end")
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stderr(sys.stderr if _first() else nowhere):
        if not (sys.argv[1:] if arguments is None else arguments):
            parser.print_help(sys.stderr)
            parser.exit(2)
        return parser.parse_args(arguments)


def _first() -> bool:
    """Whether this is the process that speaks, of those that a launcher started."""
    return os.environ.get("RANK", "0") == "0"


def _count(word: str) -> int:
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError(f"it must be at least 1, not {number}")
    return number


def _run(options: argparse.Namespace) -> int:
    """Plan on the main process, work on all, and report on the main one, whose exit code counts."""
    try:
        settings = settings_of(options)
        crew = Crew(options.device)
    except (OSError, ValueError) as error:
        return _refuse(reason_of(error))
    with ExitStack() as held:
        tasks, finished = _publish_plan(crew, settings, options, held) if crew.main else ([], 0)
        count, problem = crew.plan()
        try:
            if not problem and count:
                work(crew, count, sum(task.pixels for task in tasks), settings, options.pixel_limit)
        except (OSError, ValueError) as error:  # of the model; a launcher then ends the other processes
            return _refuse(reason_of(error))
    code = 0
    if crew.main:
        code = _refuse(problem) if problem else _report(crew, count, finished, options)
    crew.leave()
    return code


def _refuse(problem: str) -> int:
    """Say what was wrong, once; gives the exit code."""
    if _first():
        print(f"error: {problem}", file=sys.stderr)
    return 2


def _publish_plan(
    crew: Crew, settings: Settings, options: argparse.Namespace, held: ExitStack
) -> tuple[list[Task], int]:
    """Say to the crew what is to be done; gives that, and how many answers are finished already.

    The folder of answers is this command's own until ``held`` is closed: two that write one file would mix it up.
    """
    tasks, finished, closed = [], 0, []

    def refused(folder: Path, error: OSError) -> None:
        closed.append((str(folder), reason_of(error)))

    try:
        kind = ENDINGS.get(options.format)
        jobs = find_jobs(options.inputs, options.to, settings.seeds, FORMATS[kind][0] if kind else "", refused)
        if not options.dry_run:
            options.to.mkdir(parents=True, exist_ok=True)
            check_writable(options.to / LOCK)
            held.enter_context(only_writer(options.to / LOCK))
        tasks, finished, failures = plan(jobs, settings, pixel_limit=options.pixel_limit, overwrite=options.overwrite)
    except InUseError:
        crew.publish([], f"another command writes into {options.to}: wait for its end, or name another folder")
        return [], 0
    except (OSError, ValueError) as error:
        crew.publish([], reason_of(error))
        return [], 0
    for name, reason in [*closed, *failures]:
        crew.fail(name, reason)
    if options.dry_run:
        for task in tasks:
            for target in task.targets.values():
                print(f"{task.source} -> {target} ({task.pixels / len(task.targets) / 1e6:.1f} megapixels)")
        tasks = []
    if crew.processes > 1:  # the largest first, so that all end together
        tasks.sort(key=_pixels, reverse=True)
    crew.publish([task.to_json() for task in tasks])
    return tasks, finished


def _pixels(task: Task) -> int:
    return task.pixels


def _report(crew: Crew, count: int, finished: int, options: argparse.Namespace) -> int:
    """Say what was done and what was not; gives the exit code."""
    failures, left = crew.failures(), crew.unclaimed(count)
    done = "nothing was written" if options.dry_run else f"{_counted(crew.count('answers', 0), 'answer')} written"
    print(f"{options.to}: {done}{f', {finished} there already' if finished else ''}")
    if failures:
        print(f"error: {_counted(len(failures), 'file')} could not be enlarged:", file=sys.stderr)
        for name, reason in failures:
            print(f"  {reason if reason.startswith(name) else f'{name}: {reason}'}", file=sys.stderr)
    if left:
        print(f"error: {_counted(left, 'file')} not begun; the same command goes on there", file=sys.stderr)
    return 1 if failures or left else 0


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
