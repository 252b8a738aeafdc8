#!/usr/bin/env python3
"""Counts the results of meson test runs: count.py BUILD_DIR|LOG.json... -> one line, and exit status 1 when anything failed.

A test that speaks TAP counts case by case; any other counts as one. The failures are named first."""
import json
import os
import re
import sys

CASE = re.compile(r"^(ok|not ok)\b[ \t]+\d+[ \t]*-?[ \t]*([^#\n]*)(#[ \t]*(SKIP|TODO)\b.*)?", re.IGNORECASE | re.MULTILINE)
PLAN = re.compile(r"^1\.\.(\d+)", re.MULTILINE)
GOOD, SKIPPED = ("OK", "EXPECTEDFAIL"), ("SKIP",)


def cases(test):
    """(passed, failed, skipped, names of failures) of one test."""
    text, result = test.get("stdout") or "", test["result"]
    found = CASE.findall(text) if PLAN.search(text) else []
    failed = [name.strip() for verdict, name, _, directive in found if verdict.lower() == "not ok" and not directive]
    skipped = sum(1 for _, _, _, directive in found if directive.upper() == "SKIP")
    if not found:
        bad = result not in GOOD + SKIPPED
        return int(result in GOOD), int(bad), int(result in SKIPPED), [result] if bad else []
    if result not in GOOD + SKIPPED and not failed:
        failed = [f"{result} after {len(found)} cases"]
        return len(found) - skipped, 1, skipped, failed
    return len(found) - len(failed) - skipped, len(failed), skipped, failed


def main(builds):
    totals = [0, 0, 0]
    for build in builds:
        log = build if build.endswith(".json") else os.path.join(build, "meson-logs", "testlog.json")
        if not os.path.exists(log):
            print(f"{build}: no tests were run")
            totals[1] += 1
            continue
        with open(log) as file:
            for line in file:
                test = json.loads(line)
                *counts, names = cases(test)
                totals = [a + b for a, b in zip(totals, counts)]
                for name in names:
                    print(f"failed: {build}: {test['name']}: {name}")
    passed, failed, skipped = totals
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
