"""The guide's commands can be typed: each says where, and is what a shell can read."""

import re
import subprocess
from pathlib import Path

from tests.systemd.guide import GUIDE, REPLACED, blocks, typed

TOP = Path(__file__).parents[3]
ADDRESSES = ("10.9.9.11", "10.9.9.12", "10.9.9.13", "10.9.9.14")


def test_every_block_is_tried():
    fenced = re.findall(r"^```\n.*?^```$", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks()) == len(fenced) > 25


def test_every_block_is_a_script_and_names_no_address_of_the_guide():
    for block in blocks():
        text = typed(block, ADDRESSES, "image")
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)
        assert "10.0.0." not in text


def test_everything_that_is_replaced_stands_in_the_guide():
    text = "".join(block.commands for block in blocks())
    assert [told for told in REPLACED if told not in text] == []


def test_the_flags_of_etcd_are_those_that_were_found_to_matter():
    (unit,) = [block for block in blocks() if "etcd.service" in block.commands]
    for flag in (
        "--auto-compaction-mode=periodic --auto-compaction-retention=30m",
        "--quota-backend-bytes=8589934592",
        "watch-progress-notify-interval=10s",
    ):
        assert flag in unit.commands
