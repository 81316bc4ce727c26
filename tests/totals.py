"""Prints the totals of a ctest run: the cases of Criterion and pytest where a
test has them, else the test itself.

    totals.py REPORT    the file of ctest --output-junit
"""

import re
import sys
import xml.etree.ElementTree as ElementTree

CRITERION = re.compile(
    r"Synthesis: Tested: (\d+) \| Passing: (\d+) \| Failing: (\d+)"
    r" \| Crashing: (\d+)")
PYTEST = re.compile(r"(\d+) (passed|failed|errors?)\b")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def cases(output):
    """Passed and failed cases a test's output tells of."""
    output = COLOUR.sub("", output)
    criterion = CRITERION.search(output)
    if criterion:
        tested, passed, _, _ = map(int, criterion.groups())
        return passed, tested - passed
    last_line = output.strip().rsplit("\n", 1)[-1]
    counts = [(int(n), word) for n, word in PYTEST.findall(last_line)]
    return (sum(n for n, word in counts if word == "passed"),
            sum(n for n, word in counts if word != "passed"))


def main():
    passed = failed = 0
    for test in ElementTree.parse(sys.argv[1]).iter("testcase"):
        good = test.get("status") == "run"
        test_passed, test_failed = cases(test.findtext("system-out") or "")
        # A test can fail beside its cases: a leak, a crash at exit.
        if not good and not test_failed:
            test_failed = 1
        if good and not test_passed:
            test_passed = 1
        passed += test_passed
        failed += test_failed
    print(f"{passed} passed, {failed} failed")


main()
