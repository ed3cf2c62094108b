"""The command line of the simulator: one seed to the bottom, or many quickly.

python -m tests.sim --seed 41 --verbose     one run, with its story
python -m tests.sim --seeds 200             the known regressions, then 200 seeds
"""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.sim.run import Outcome, simulate

MINUTES = 3.0
TAIL_LINES = 60
FAILURES_SHOWN = 8
REGRESSIONS = Path(__file__).with_name("regressions.txt")


def main() -> int:
    """Run what the command line says; 1 if any seed failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this seed alone")
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds to run")
    parser.add_argument("--from", type=int, default=1, dest="first", help="the first seed")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="virtual, with faults")
    parser.add_argument("--jobs", type=int, default=2, help="seeds at once")
    parser.add_argument("--verbose", action="store_true", help="print the whole story")
    options = parser.parse_args()
    if options.seed is not None:
        return _run_one(options.seed, options.minutes, is_verbose=options.verbose)
    return _run_many(options.first, options.seeds, options.minutes, options.jobs)


def _run_one(seed: int, minutes: float, *, is_verbose: bool) -> int:
    outcome = simulate(seed, minutes)
    if is_verbose:
        print("\n".join(outcome.lines))
    elif outcome.violations:
        print("\n".join(outcome.lines[-TAIL_LINES:]))
    verdict = "FAILED" if outcome.violations else "passed"
    print(f"seed {seed} {verdict}: {outcome.virtual_s:.0f} virtual seconds, {outcome.digest[:16]}")
    for violation in outcome.violations:
        print(f"  {violation}")
    return 1 if outcome.violations else 0


def regressions() -> list[int]:
    """Return the seeds that once found a bug."""
    lines = REGRESSIONS.read_text().splitlines() if REGRESSIONS.exists() else []
    return [int(line.split()[0]) for line in lines if line.strip() and not line.startswith("#")]


def _run_many(first: int, count: int, minutes: float, jobs: int) -> int:
    began = time.monotonic()
    seeds = list(dict.fromkeys([*regressions(), *range(first, first + count)]))
    failed: list[Outcome] = []
    virtual_s = 0.0
    for done, outcome in enumerate(_outcomes(seeds, minutes, jobs), start=1):
        virtual_s += outcome.virtual_s
        if outcome.violations:
            failed.append(outcome)
            if len(failed) <= FAILURES_SHOWN:
                _print_failure(outcome, minutes)
        if sys.stdout.isatty() or done % 50 == 0:
            print(f"\r{done}/{len(seeds)} seeds, {len(failed)} failed", end="", flush=True)
    took_s = time.monotonic() - began
    print(
        f"\n{len(seeds) - len(failed)} passed, {len(failed)} failed "
        f"({virtual_s / 3600:.1f} simulated hours in {took_s:.0f} s)"
    )
    return 1 if failed else 0


def _outcomes(seeds: list[int], minutes: float, jobs: int) -> Iterator[Outcome]:
    if jobs <= 1:
        yield from (simulate(seed, minutes) for seed in seeds)
        return
    with multiprocessing.Pool(jobs) as pool:
        yield from pool.imap_unordered(_simulate, [(seed, minutes) for seed in seeds])


def _simulate(work: tuple[int, float]) -> Outcome:
    return simulate(*work)


def _print_failure(outcome: Outcome, minutes: float) -> None:
    print(f"\nseed {outcome.seed} FAILED")
    for violation in outcome.violations[:5]:
        print(f"  {violation}")
    extra = "" if minutes == MINUTES else f" --minutes {minutes:g}"
    print(f"  the end of its story (of {len(outcome.lines)} lines):")
    for line in outcome.lines[-12:]:
        print(f"    {line}")
    print(f"  repeat it: python -m tests.sim --seed {outcome.seed}{extra} --verbose")


if __name__ == "__main__":
    sys.exit(main())
