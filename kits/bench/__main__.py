"""Compare Coatcheck with other frameworks, and with itself as things grow.

python -m kits.bench                  every row; exits with 1 if a target is missed,
                                      with 2 if a row could not be measured
python -m kits.bench checks mixed     only some rows

Everything runs on one Postgres and one Redis, as in production but without throttling, with two
workers and 32 connections unless a row says otherwise. Contenders take turns in each round.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx

from kits.bench import chart, growth, mixed, pressure, registration, session_checks, session_count
from kits.bench.contender import Engines, start_engines
from kits.bench.section import Section
from kits.command import Effort, Say, add_effort_options, exit_on_sigterm, say
from kits.generators import LoadError, require_wrk
from kits.report import Report

ROWS: dict[str, Callable[[Engines, Effort, Say], Section]] = {
    "checks": session_checks.checks,
    "duplicates": registration.duplicates,
    "hashing": registration.hashing,
    "newcomers": pressure.newcomers,
    "mixed": mixed.mixed,
    "hung": pressure.hung,
    "idle": pressure.idle,
    "sessions": session_count.sizes,
    "workers": growth.workers,
    "connections": growth.connections,
    "keys": growth.keys,
}
NOTE = "CPU and commands are per request; numbers are medians."


def main() -> int:
    """Run what the command line asks for; returns the exit status."""
    exit_on_sigterm()
    options = _options()
    options.output.mkdir(parents=True, exist_ok=True)
    effort = Effort(options.rounds, options.seconds)
    try:
        require_wrk()
        with (
            tempfile.TemporaryDirectory(prefix="bench-") as path,
            start_engines(Path(path)) as engines,
        ):
            sections, errors = perform(engines, options.rows or list(ROWS), effort, say)
    except LoadError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    return conclude(sections, errors, effort, options.output)


def perform(
    engines: Engines, rows: Sequence[str], effort: Effort, say: Say
) -> tuple[list[Section], list[str]]:
    """Measure one row after another; returns their sections, and why others failed."""
    sections, errors = [], []
    for row in rows:
        try:
            sections.append(ROWS[row](engines, effort, say))
        except (LoadError, httpx.HTTPError, AssertionError) as error:  # or it did not even start
            errors.append(f"{row}: {error}")
            say(errors[-1])
            continue
        for verdict in sections[-1].verdicts:
            say(str(verdict))
    return sections, errors


def conclude(
    sections: Sequence[Section], errors: Sequence[str], effort: Effort, output: Path
) -> int:
    """Write the report and the charts; returns the exit status."""
    report = Report("Benchmark")
    report.section("How", f"{effort.rounds} rounds of {effort.seconds:g} s. {NOTE}")
    for section in sections:
        report.section(section.title, section.table(), *section.notes)
        report.judge(section.verdicts)
        chart.draw(section, output / f"{section.key}.png")
    report.publish(output / "report.md")
    for error in errors:
        print(f"Error: {error}", file=sys.stderr)
    return 2 if errors else 0 if report.passed else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m kits.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rows", nargs="*", metavar="row", help=f"of {', '.join(ROWS)}")
    add_effort_options(parser, ".data/bench")
    options = parser.parse_args()
    for row in options.rows:
        if row not in ROWS:
            parser.error(f"there is no row {row!r}; there are {', '.join(ROWS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
