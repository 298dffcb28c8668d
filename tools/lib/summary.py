"""Adds up the results files of a test run: prints "N passed, N failed", exits 0 only if all went well."""

import glob
import sys
import xml.etree.ElementTree as ElementTree


def count(path):
    """Passed and failed cases of one file in JUnit's format; names the failed. Skipped ones count as neither."""
    passed = failed = 0
    for case in ElementTree.parse(path).iter("testcase"):
        problem = case.find("failure")
        problem = problem if problem is not None else case.find("error")
        if problem is not None:
            failed += 1
            text = (problem.get("message") or problem.text or "").strip()
            print(f"FAILED {case.get('classname', '')}.{case.get('name')} ({path}): {text[:2000]}")
        elif case.find("skipped") is None:
            passed += 1
    return passed, failed


def main(swift_status, python_status, folder):
    passed = failed = 0
    for name, status in (("swift", swift_status), ("python", python_status)):
        name_failed = 0
        for path in glob.glob(f"{folder}/{name}*.xml"):
            counts = count(path)
            passed += counts[0]
            name_failed += counts[1]
        # A run that broke off has no results for what it did not reach.
        if status != 0 and name_failed == 0:
            print(f"the {name} tests broke off with status {status}")
            name_failed = 1
        failed += name_failed
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
