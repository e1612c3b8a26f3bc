"""`python -m tests.load`: the ways to register side by side, and the targets.

python -m tests.load ways       the four ways under each load, as Markdown and as a picture
python -m tests.load targets    the target table; exits with 1 if one is missed
python -m tests.load targets herd spellings     some of its rows
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.load import counted, report, sizes, timed
from tests.load.arena import Arena, arena
from tests.load.comparison import compare
from tests.load.runs import LoadError, require_wrk
from tests.load.verdict import Effort, Say, Verdict, add_options, say

TARGETS: dict[str, Callable[[Arena, Effort, Say], Iterator[Verdict]]] = {
    "herd": counted.herd,
    "spellings": counted.spellings,
    "cold": counted.cold,
    "hot": timed.hot,
    "new": timed.new,
    "overload": timed.overload,
    "sizes": sizes.sizes,
}


def main() -> int:
    """Run what the command line asks for; the exit status."""
    # So that everything that was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = _options()
    options.output.mkdir(parents=True, exist_ok=True)
    try:
        require_wrk()
        with tempfile.TemporaryDirectory(prefix="load-") as directory, arena(Path(directory)) as it:
            if options.command == "ways":
                return ways(it, options.effort, options.output)
            return targets(it, options.effort, options.output, options.rows or list(TARGETS))
    except LoadError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2


def ways(arena: Arena, effort: Effort, output: Path) -> int:
    """Compare, print and draw."""
    results = compare(arena, effort.rounds, effort.seconds, say)
    text = report.markdown(results)
    (output / "ways.md").write_text(text, encoding="utf-8")
    report.draw(results, output / "ways.png")
    print(f"\n{text}\nWritten to {output / 'ways.md'}, drawn in {output / 'ways.png'}")
    return 0


def targets(arena: Arena, effort: Effort, output: Path, rows: list[str]) -> int:
    """Measure and judge; 1 if a target is missed."""
    verdicts = []
    for row in rows:
        for verdict in TARGETS[row](arena, effort, say):
            say(f"{'pass' if verdict.passed else 'FAIL'}: {verdict.what}: {verdict.measured}")
            verdicts.append(verdict)
    text = report.judged(verdicts)
    (output / "targets.md").write_text(text + "\n", encoding="utf-8")
    print(f"\n{text}\n\nWritten to {output / 'targets.md'}")
    return 0 if all(verdict.passed for verdict in verdicts) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=("ways", "targets"))
    parser.add_argument("rows", nargs="*", metavar="row", help=f"of {', '.join(TARGETS)}")
    add_options(parser, ".data/load")
    options = parser.parse_args()
    for row in options.rows:
        if options.command == "ways" or row not in TARGETS:
            parser.error(f"there is no row {row!r}; targets has {', '.join(TARGETS)}")
    options.effort = Effort(options.rounds, options.seconds)
    return options


if __name__ == "__main__":
    sys.exit(main())
