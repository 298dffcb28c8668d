"""Adds up the results files of a test run: prints "N passed, N failed", exits 0 only if all went well."""

import glob
import sys
import xml.etree.ElementTree as ElementTree


def read(path):
    """How many cases of one file in JUnit's format passed, and the names of the failed; tells what was wrong. Skipped ones count as neither."""
    passed, failed = 0, []
    for case in ElementTree.parse(path).iter("testcase"):
        problems = case.findall("failure") + case.findall("error")
        if problems:
            name = f"{case.get('classname', '')}.{case.get('name')} ({path})"
            failed.append(name)
            print(f"{name}:")
            # A test of many cases has a problem for each that failed.
            for problem in problems[:10]:
                print(f"  {(problem.get('message') or problem.text or '').strip()[:2000]}")
        elif case.find("skipped") is None:
            passed += 1
    return passed, failed


def main(swift_status, python_status, folder):
    passed, failed = 0, []
    for name, status in (("swift", swift_status), ("python", python_status)):
        results = [read(path) for path in sorted(glob.glob(f"{folder}/{name}*.xml"))]
        passed += sum(result[0] for result in results)
        names = [case for result in results for case in result[1]]
        # A run that broke off has no results for what it did not reach.
        if status != 0 and not names:
            names.append(f"the {name} tests broke off with status {status}")
        failed += names
    for name in failed:
        print(f"FAILED {name}")
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
