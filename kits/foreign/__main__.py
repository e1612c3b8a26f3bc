"""Run the tests of Flask and its extensions with Coatcheck's sessions in every application.

python -m kits.foreign                    every suite; exits with 1 if a difference from stock
                                          sessions has no reason in differences.toml,
                                          with 2 if a suite could not be run
python -m kits.foreign flask flask-login  only some suites

The tests come from the source distributions that pip finds, and run in environments of their own.
Both stay in a cache outside of the repository.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from redis import Redis

from kits.command import exit_on_sigterm, say
from kits.foreign.comparison import Comparison, compare, read_reasons
from kits.foreign.run import Place, started
from kits.foreign.sources import SourceError, Sources, default_cache
from kits.foreign.suites import SUITES, Suite
from kits.foreign.summary import Row, report
from service.embedded import EngineError, RedisEngine

DIFFERENCES = Path(__file__).with_name("differences.toml")


def main() -> int:
    """Run what the command line asks for; returns the exit status."""
    exit_on_sigterm()
    options = _options()
    options.output.mkdir(parents=True, exist_ok=True)
    suites = [suite for suite in SUITES if suite.key in options.suites or not options.suites]
    sources = Sources(options.cache, options.checkouts)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="foreign-") as path,
            RedisEngine(Path(path), durable=False) as redis,
            sources.locked(),
        ):
            rows, errors = perform(suites, sources, redis, options.output.resolve())
    except (EngineError, SourceError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    result = report(rows, [suite.key for suite in suites])
    result.publish(options.output / "report.md")
    for line in errors:
        print(f"Error: {line}", file=sys.stderr)
    return 2 if errors else 0 if result.passed else 1


def perform(
    suites: Sequence[Suite], sources: Sources, redis: RedisEngine, output: Path
) -> tuple[list[Row], list[str]]:
    """Run one suite after another; returns their rows, and why others could not be run."""
    known = tomllib.loads(DIFFERENCES.read_text(encoding="utf-8"))
    rows, errors = [], []
    for suite in suites:
        try:
            source = sources.tests(suite)
            if source is None:
                say(f"{suite.key}: left out, its tests need --checkouts")
                continue
            python = sources.python(suite)
        except SourceError as error:
            errors.append(f"{suite.key}: {error}")
            say(errors[-1])
            continue
        place = Place(python, source, redis.url, redis.directory, output)
        with Redis.from_url(redis.url) as client:
            client.config_resetstat()
            found = _compared(suite, place, read_reasons(known, suite.key))
            written = client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]
        rows.append(Row(suite.key, sources.version(suite), found, written))
        say(str(found.verdict(suite.key)))
    return rows, errors


def _compared(suite: Suite, place: Place, reasons: Mapping[str, str]) -> Comparison:
    """Run a suite both ways, side by side."""
    with started(suite, "stock", place) as stock, started(suite, "coatcheck", place) as ours:
        return compare(stock(), ours(), reasons)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m kits.foreign",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    keys = [suite.key for suite in SUITES]
    parser.add_argument("suites", nargs="*", metavar="suite", help=f"of {', '.join(keys)}")
    parser.add_argument(
        "--checkouts",
        type=Path,
        metavar="DIR",
        help="has a checkout of each suite whose source distribution lacks its tests, in "
        f"{', '.join(suite.key for suite in SUITES if suite.checkout)}",
    )
    parser.add_argument("--cache", type=Path, default=default_cache(), metavar="DIR")
    parser.add_argument("--output", type=Path, default=Path(".data/foreign"), metavar="DIR")
    options = parser.parse_args()
    for key in options.suites:
        if key not in keys:
            parser.error(f"there is no suite {key!r}; there are {', '.join(keys)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
