"""`python -m kits.load`: the ways to register side by side, and the targets.

python -m kits.load ways       the four ways under each load, as Markdown and as a picture
python -m kits.load targets    the target table; exits with 1 if one is missed
python -m kits.load targets herd spellings     some of its rows
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from kits.command import Effort, Say, Verdict, add_options, say
from kits.generators import LoadError, require_wrk
from kits.load import cache_growth, comparison_report, count_targets, time_targets
from kits.load.comparison import compare
from kits.load.testbed import Arena, arena

TARGETS: dict[str, Callable[[Arena, Effort, Say], Iterator[Verdict]]] = {
    "herd": count_targets.herd,
    "spellings": count_targets.spellings,
    "cold": count_targets.cold,
    "hot": time_targets.hot,
    "new": time_targets.new,
    "overload": time_targets.overload,
    "sizes": cache_growth.sizes,
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
    text = comparison_report.markdown(results)
    (output / "ways.md").write_text(text, encoding="utf-8")
    comparison_report.draw(results, output / "ways.png")
    print(f"\n{text}\nWritten to {output / 'ways.md'}, drawn in {output / 'ways.png'}")
    return 0


def targets(arena: Arena, effort: Effort, output: Path, rows: list[str]) -> int:
    """Measure and judge; 1 if a target is missed."""
    verdicts = []
    for row in rows:
        for verdict in TARGETS[row](arena, effort, say):
            say(f"{'pass' if verdict.passed else 'FAIL'}: {verdict.what}: {verdict.measured}")
            verdicts.append(verdict)
    text = comparison_report.judged(verdicts)
    (output / "targets.md").write_text(text + "\n", encoding="utf-8")
    print(f"\n{text}\n\nWritten to {output / 'targets.md'}")
    return 0 if all(verdict.passed for verdict in verdicts) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m kits.load",
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
