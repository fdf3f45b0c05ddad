"""`make bench`: measures what design and documentation promise, and says whether it holds."""

import argparse
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.scale import (
    asking,
    footprint,
    installing,
    node_program,
    noticing,
    repairing,
    results,
    starting,
)
from tests.scale.figures import Section
from tests.scale.plan import Plan, Progress, Tell


@dataclass(frozen=True)
class Family:
    """Sections that come of the same runs; `minutes` is what they take on two cores."""

    letters: str
    measure: Callable[[Plan, Tell], list[Section]]
    minutes: float


FAMILIES = (
    Family("abc", installing.measure, 14),
    Family("de", footprint.measure, 14),
    Family("f", repairing.measure, 3),
    Family("g", noticing.measure, 5),
    Family("h", node_program.measure, 2),
    Family("i", asking.measure, 6),
    Family("j", starting.measure, 3),
)
ENDS = (signal.SIGINT, signal.SIGTERM)
LETTERS = ",".join("".join(family.letters for family in FAMILIES))


def main() -> None:
    options = arguments()
    plan = replace(Plan(), rest=options.rest)
    if options.runs:
        plan = replace(plan, runs=options.runs, few_runs=options.runs)
    plan = plan.quick() if options.quick else plan
    chosen = [family for family in FAMILIES if set(family.letters) & set(options.only.split(","))]
    extra = max(0.0, plan.rest - Plan().rest)
    tell = Progress(60 * sum(family.minutes for family in chosen) + extra)
    for number in ENDS:
        signal.signal(number, end)
    measured = [section for family in chosen for section in family.measure(plan, tell)]
    found = results.merged(measured)
    if not options.quick:
        results.write(found)
        tell(f"written to {results.FOLDER}")
    shown = {section.letter: found["sections"][section.letter] for section in measured}
    print(results.markdown({**found, "sections": shown}))


def end(*_: object) -> None:
    """Take away what was started, undisturbed by a second Ctrl-C."""
    for number in ENDS:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(1)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.scale", description=__doc__)
    parser.add_argument(
        "--only",
        default=LETTERS,
        type=letters,
        metavar="LETTERS",
        help=f"sections to measure, of {LETTERS}; what comes of the same runs comes along",
    )
    parser.add_argument("--runs", type=int, help="how often each thing is done (default: 3 to 5)")
    parser.add_argument(
        "--rest", type=float, default=Plan().rest, help="seconds of rest (default: %(default).0f)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="small and once, to see that all works; writes nothing"
    )
    return parser.parse_args()


def letters(text: str) -> str:
    unknown = set(text.split(",")) - set(LETTERS.split(","))
    if unknown:
        named = ", ".join(sorted(unknown))
        raise argparse.ArgumentTypeError(f"no section {named}; they are {LETTERS}")
    return text


if __name__ == "__main__":
    main()
