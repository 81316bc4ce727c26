"""What the README repeats from the code is what the code says."""

import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_configuration_table():
    program = pathlib.Path(os.environ["TRUNKLINE_BIN"], "trunkline-gateway")
    table = subprocess.run([program, "--config-table"],
                           check=True, capture_output=True, text=True).stdout
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    begin = "<!-- config table: trunkline-gateway --config-table -->\n"
    shown = readme.partition(begin)[2].partition("<!-- end of config table -->")[0]
    assert shown == table
