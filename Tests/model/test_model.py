"""The model of the lease rules: spin goes through every run of it, and notices every rule that is broken on purpose."""

import pathlib
import subprocess

import pytest

CHECK_MODEL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "lib" / "check-model"
CASES = subprocess.run([CHECK_MODEL, "--list"], check=True, capture_output=True, text=True).stdout.split()


@pytest.mark.parametrize("case", CASES)
def test_model(case):
    done = subprocess.run([CHECK_MODEL, case], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
