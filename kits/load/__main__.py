"""Measure registration under load.

python -m kits.load targets                   every target; exits with 1 if one is missed
python -m kits.load targets herd spellings    only some rows
python -m kits.load compare                   the service beside the strategies of tutorials
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from kits.command import Effort, Say, add_effort_options, exit_on_sigterm, say
from kits.generators import LoadError, require_wrk
from kits.load import cache_growth, comparison_report, count_targets, time_targets
from kits.load.comparison import compare
from kits.load.deployment import Engines, start_engines
from kits.report import Report
from kits.verdict import Verdict

TARGETS: dict[str, Callable[[Engines, Effort, Say], Iterator[Verdict]]] = {
    "herd": count_targets.herd,
    "spellings": count_targets.spellings,
    "cold": count_targets.cold,
    "hot": time_targets.hot,
    "new": time_targets.new,
    "overload": time_targets.overload,
    "sizes": cache_growth.sizes,
}


def main() -> int:
    """Run what the command line asks for; returns the exit status."""
    exit_on_sigterm()
    options = _options()
    options.output.mkdir(parents=True, exist_ok=True)
    effort = Effort(options.rounds, options.seconds)
    try:
        require_wrk()
        with (
            tempfile.TemporaryDirectory(prefix="load-") as directory,
            start_engines(Path(directory)) as engines,
        ):
            if options.command == "compare":
                return _compare(engines, effort, options.output)
            return _judge(engines, effort, options.output, options.rows or list(TARGETS))
    except LoadError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2


def _compare(engines: Engines, effort: Effort, output: Path) -> int:
    results = compare(engines, effort, say)
    comparison_report.draw(results, output / "comparison.png")
    comparison_report.report(results).publish(output / "comparison.md")
    return 0


def _judge(engines: Engines, effort: Effort, output: Path, rows: Sequence[str]) -> int:
    report = Report("Registration under load")
    for row in rows:
        for verdict in TARGETS[row](engines, effort, say):
            say(str(verdict))
            report.judge([verdict])
    report.publish(output / "targets.md")
    return 0 if report.passed else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m kits.load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=("targets", "compare"))
    parser.add_argument("rows", nargs="*", metavar="row", help=f"of {', '.join(TARGETS)}")
    add_effort_options(parser, ".data/load")
    options = parser.parse_args()
    for row in options.rows:
        if options.command == "compare" or row not in TARGETS:
            parser.error(f"there is no row {row!r}; targets has {', '.join(TARGETS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
