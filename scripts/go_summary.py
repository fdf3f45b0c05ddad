"""Reads `go test -json`; prints failures in full, each skip with its reason, and the counts.

`go test` alone says only "ok" per package, and a skipped test is not mentioned at all.
"""

import json
import sys
from collections import Counter, defaultdict


def main() -> int:
    """Return 1 when anything failed or nothing ran."""
    output: dict[tuple[str, str], list[str]] = defaultdict(list)
    counts: Counter[str] = Counter()
    failed_packages = 0
    for line in sys.stdin:
        if not line.startswith("{"):
            sys.stdout.write(line)
            continue
        event = json.loads(line)
        action, test = event["Action"], event.get("Test", "")
        # Build errors carry ImportPath in place of Package and belong to no test.
        key = (event.get("Package", event.get("ImportPath", "")), test)
        if action in {"output", "build-output"}:
            output[key].append(event["Output"])
        elif action in {"pass", "fail", "skip"}:
            if test:
                counts[action] += 1
            failed_packages += action == "fail" and not test
            if action == "fail" or (action == "skip" and test):
                sys.stdout.write("".join(output.pop(key, [])))
        elif action == "build-fail":
            sys.stdout.write("".join(output.pop(key, [])))
    sys.stdout.write(
        f"{counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped\n"
    )
    return int(failed_packages > 0 or not counts)


if __name__ == "__main__":
    sys.exit(main())
