"""`python -m kits.bench`: Coatcheck beside its peers, and beside itself as things grow.

python -m kits.bench                  every row; exits with 1 if a target is missed,
                                       with 2 if something could not be measured
python -m kits.bench checks mixed     some of them

Everything runs on one Postgres and one Redis, as in production but for throttling, with two
workers and 32 connections where nothing else is said; contenders take turns in each round.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx

from kits.bench import chart, growth, mixed, registration, session_checks, session_count
from kits.bench.section import Section
from kits.bench.testbed import Stage, stage
from kits.command import Effort, Say, add_options, say
from kits.generators import LoadError, require_wrk

ROWS: dict[str, Callable[[Stage, Effort, Say], Section]] = {
    "checks": session_checks.checks,
    "duplicates": registration.duplicates,
    "hashing": registration.hashing,
    "mixed": mixed.mixed,
    "sessions": session_count.sizes,
    "workers": growth.workers,
    "connections": growth.connections,
    "keys": growth.keys,
}


def main() -> int:
    """Run what the command line asks for; the exit status."""
    # So that everything that was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = _options()
    options.output.mkdir(parents=True, exist_ok=True)
    try:
        require_wrk()
        with tempfile.TemporaryDirectory(prefix="bench-") as path, stage(Path(path)) as it:
            sections, errors = perform(it, options.rows or list(ROWS), options.effort, say)
    except LoadError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    return conclude(sections, errors, options.effort, options.output)


def perform(
    stage: Stage, rows: Sequence[str], effort: Effort, say: Say
) -> tuple[list[Section], list[str]]:
    """The rows one after the other; and what kept one from being measured."""
    sections, errors = [], []
    for row in rows:
        try:
            sections.append(ROWS[row](stage, effort, say))
        except (LoadError, httpx.HTTPError, AssertionError) as error:  # or it did not even start
            errors.append(f"{row}: {error}")
            say(errors[-1])
            continue
        for verdict in sections[-1].verdicts:
            say(f"{'pass' if verdict.passed else 'FAIL'}: {verdict.what}: {verdict.measured}")
    return sections, errors


def conclude(
    sections: Sequence[Section], errors: Sequence[str], effort: Effort, output: Path
) -> int:
    """Write, draw and print; the exit status."""
    text = chart.markdown(sections, f"Rounds: {effort.rounds}, of {effort.seconds:g} s.")
    (output / "chart.md").write_text(text, encoding="utf-8")
    for section in sections:
        chart.draw(section, output / f"{section.key}.png")
    print(f"\n{text}\nWritten to {output / 'chart.md'}, with a picture of each part beside it")
    for error in errors:
        print(f"Error: {error}", file=sys.stderr)
    missed = [v for section in sections for v in section.verdicts if not v.passed]
    return 2 if errors else 1 if missed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m kits.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rows", nargs="*", metavar="row", help=f"of {', '.join(ROWS)}")
    add_options(parser, ".data/bench")
    options = parser.parse_args()
    for row in options.rows:
        if row not in ROWS:
            parser.error(f"there is no row {row!r}; there are {', '.join(ROWS)}")
    options.effort = Effort(options.rounds, options.seconds)
    return options


if __name__ == "__main__":
    sys.exit(main())
