"""Wrong YAML as people write it: the line, what was expected, what was found, what to do; nothing is begun.

Each goes through `lab run`, and the sentence is compared whole: a change of words is a change of
what an operator reads at night.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from lab import reaper
from lab.yaml_text import MOST_KIB
from tests import in_process
from tests.integration.whole import PAIR, SHORT, home

DIGITS = "; write digits alone, as in 90: no quotes, unit or colon."
LEAST = "; write at least `topology: …`."
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)


def short(old: str, new: str) -> str:
    """The short experiment with one thing changed."""
    assert old in SHORT
    return SHORT.replace(old, new)


def pair(old: str, new: str) -> str:
    assert old in PAIR
    return PAIR.replace(old, new, 1)


# id → text of experiments/short.yaml, line, sentence
EXPERIMENTS: dict[str, tuple[str | bytes, int, str]] = {
    "1 tab for indentation": (
        short("  - latency", "\t- latency"),
        7,
        "expected spaces, found a tab; indent and separate with spaces only.",
    ),
    "2 duplicate key": (
        SHORT + "topology: other\n",
        9,
        "expected each key once, found 'topology' again; remove one of the two, or join what they hold.",
    ),
    "2 duplicate key, in braces": (
        short("recovery_s: 4", "fault_s: 30"),
        5,
        "expected each key once, found 'fault_s' again; remove one of the two, or join what they hold.",
    ),
    "3 unknown key": (
        short("phases", "phasen"),
        5,
        "unknown key 'phasen' (did you mean 'phases'?); known: expect, faults, hypothesis, leaders_in, name, phases, "
        "question, source, topology, workload.",
    ),
    "3 unknown key, one level down": (
        short("fault_s", "faults_s"),
        5,
        "unknown key 'faults_s' (did you mean 'fault_s'?); known: fault_s, recovery_s, steady_s.",
    ),
    "4 missing required key": (
        short("topology: pair\n", ""),
        1,
        "expected the key 'topology', found none; add `topology: …` (A name in topologies/, or a path to a file).",
    ),
    "5 wrong type, text for a number": (
        short("steady_s: 4", "steady_s: four"),
        5,
        f"phases.steady_s: expected a number, found 'four'{DIGITS}",
    ),
    "5 wrong type, a number with its unit": (
        short("steady_s: 4", "steady_s: 4s"),
        5,
        f"phases.steady_s: expected a number, found '4s'{DIGITS}",
    ),
    "5 wrong type, nothing": (
        short("topology: pair", "topology:"),
        2,
        "topology: expected text, found nothing; write it behind the colon, or below it.",
    ),
    "5 wrong type, a mapping for a list": (
        short("  - latency", "  latency"),
        6,
        "faults: expected a list, found a mapping; begin each entry's line with `- `.",
    ),
    "3 unknown setting of a fault": (
        short("add_ms", "ad_ms"),
        7,
        "fault latency: unknown setting 'ad_ms' (did you mean 'add_ms'?); known: add_ms, region.",
    ),
    "4 missing setting of a fault": (
        short(", add_ms: 50", ""),
        7,
        "fault latency: expected the setting 'add_ms', found none; add `add_ms: …`.",
    ),
    "5 wrong type in a fault": (
        short("add_ms: 50", "add_ms: 50ms"),
        7,
        f"fault latency: add_ms: expected a number or a list, found '50ms'{DIGITS}",
    ),
    "5 wrong type in the workload": (
        short("keys: 20", "keys: many"),
        3,
        f"workload kv: keys: expected a whole number, found 'many'{DIGITS}",
    ),
    "6 unclosed bracket": (
        short("durability]", "durability"),
        8,
        "expected ']' to close the '[' of this line, found the end of the file; "
        "close it, and put a comma between entries.",
    ),
    "6 unclosed brace": (
        short("recovery_s: 4}", "recovery_s: 4"),
        5,
        "expected '}' to close the '{' of this line, found another `key:` in line 6; "
        "close it, and put a comma between entries.",
    ),
    "6 unclosed quote": (
        short("question: What", 'question: "What'),
        1,
        "expected a quote that closes the one of this line, found the end of the file; add it.",
    ),
    "6 a quote too many": (
        short("What is", "'What's"),
        1,
        "expected the value's end, found more text behind its closing quote; write a quote in '…' twice.",
    ),
    "7 two faults in one list item": (
        short("50}\n", "50}\n    partition: {region: b}\n"),
        7,
        "faults.0: expected exactly one fault name beside at_s, for_s, found 'latency', 'partition'; "
        "begin each with `- ` of its own, and indent its settings below it.",
    ),
    "7 settings beside their fault": (
        short("latency: {region: b, add_ms: 50}", "latency:\n    region: b"),
        7,
        "faults.0: expected exactly one fault name beside at_s, for_s, found 'latency', 'region'; "
        "begin each with `- ` of its own, and indent its settings below it.",
    ),
    "8 fault longer than its phase": (
        short("50}\n", "50}\n  - latency: {region: a, add_ms: 50}\n    at_s: 1\n    for_s: 9\n"),
        8,
        "faults.1: expected 'latency' to end with the fault phase, which has 4 s, found it from 1 s for 9 s; "
        "shorten it, or make phases.fault_s longer.",
    ),
    "9 a list at the top": ("- gray\n", 1, f"expected a mapping of keys (`key: value`), found a list{LEAST}"),
    "9 an empty file": ("", 1, f"expected a mapping of keys (`key: value`), found nothing{LEAST}"),
    "9 comments only": ("# later\n", 1, f"expected a mapping of keys (`key: value`), found nothing{LEAST}"),
    "9 no colon": (
        short("topology: pair", "topology pair"),
        2,
        "expected `key: value`, found no colon with a blank behind it; write one after the key.",
    ),
    "9 a colon too many": (
        short("What is", "What: is"),
        1,
        "expected `key: value`, found another colon behind it, or a line indented unlike its neighbours; "
        "put text that holds a colon in quotes, or mend the indentation.",
    ),
    "9 another indentation": (
        short("hypothesis", " hypothesis"),
        8,
        "expected a line indented like its neighbours, found another indentation; align it with them.",
    ),
    "11 Latin-1": (
        short("What is left", "Was übrig ist").encode("latin-1"),
        1,
        "expected UTF-8 text, found the byte 0xfc, which is none; save the file as UTF-8.",
    ),
    "11 Latin-1, further down": (
        (SHORT + "source: Büro\n").encode("latin-1"),
        9,
        "expected UTF-8 text, found the byte 0xfc, which is none; save the file as UTF-8.",
    ),
    "11 UTF-16": (
        SHORT.encode("utf-16-le"),
        1,
        "expected text, found the character #x0000; save the file as UTF-8 text.",
    ),
    "12 an alias bomb": (
        BOMB + SHORT,
        5,
        "expected at most 50,000 values, found more once aliases are written out; use fewer of them.",
    ),
    "12 an alias inside itself": (
        short("faults:", "expect: &e {memory: *e}\nfaults:"),
        6,
        "expected *e behind what it stands for, found it inside; write the value out.",
    ),
    "12 thousands of brackets": (
        short("topology: pair", f"topology: {'[' * 5000}{']' * 5000}"),
        2,
        "expected at most 32 levels, found more; close brackets, and indent less.",
    ),
    "13 a time of day for seconds": (
        short("steady_s: 4", "steady_s: 1:30"),
        5,
        f"phases.steady_s: expected a number, found '1:30'{DIGITS}",
    ),
    "13 `no` is text": (
        short("leaders_in: any", "leaders_in: no"),
        4,
        "leaders_in: expected 'home', 'faulted', 'elsewhere' or 'any', found 'no'.",
    ),
    "13 `on` is text": (
        short("[isolation, durability]", "on"),
        8,
        "hypothesis: expected a list, found 'on'; begin each entry's line with `- `.",
    ),
    "13 a directive that asks for YAML 1.1": (
        f"%YAML 1.1\n---\n{SHORT}",
        2,
        "expected YAML 1.2, found a directive that asks for another version (in 1.1, `no` is false and 1:30 is 90); "
        "remove the line.",
    ),
}  # fmt: skip
# id → text of topologies/pair.yaml, line, sentence
TOPOLOGIES: dict[str, tuple[str | bytes, int, str]] = {
    "1 tab for indentation": (
        pair("  b:", "\tb:"),
        4,
        "expected spaces, found a tab; indent and separate with spaces only.",
    ),
    "2 duplicate key": (
        pair("  b:", "  a:"),
        4,
        "expected each key once, found 'a' again; remove one of the two, or join what they hold.",
    ),
    "3 unknown key": (
        pair("rtt_ms", "rtt_s"),
        5,
        "unknown key 'rtt_s' (did you mean 'rtt_ms'?); known: about, name, regions, rtt_ms.",
    ),
    "4 missing required key": (
        pair("rtt_ms: {a-b: 20}\n", ""),
        1,
        "expected the key 'rtt_ms', found none; add `rtt_ms: …` "
        "(Round-trip time in ms for every pair of regions, written `a-b`).",
    ),
    "5 wrong type": (
        pair("nodes: 1", "nodes: 1.5"),
        3,
        "regions.a.nodes: expected a whole number, found 1.5.",
    ),
    "5 wrong type, a number for a region": (
        pair("{nodes: 1}", "3"),
        3,
        "regions.a: expected a mapping of keys, found 3; write `key: value`, a line each, indented below it.",
    ),
    "6 unclosed brace": (
        pair("20}", "20"),
        5,
        "expected '}' to close the '{' of this line, found the end of the file; "
        "close it, and put a comma between entries.",
    ),
    "9 an empty file": (
        "",
        1,
        "expected a mapping of keys (`key: value`), found nothing; write at least `regions: …` and `rtt_ms: …`.",
    ),
    "10 a pair missing": (
        pair("  b: {nodes: 1}\n", "  b: {nodes: 1}\n  c: {nodes: 1}\n"),
        6,
        "rtt_ms: expected every pair of regions, found none for a and c; add `a-c: …`, their round-trip time in ms.",
    ),
    "10 a pair misspelt": (
        pair("{a-b: 20}", "\n  a-bb: 20"),
        6,
        "rtt_ms.a-bb: expected a pair of the regions a, b, found 'a-bb'; write it like 'a-b'.",
    ),
    "10 a pair twice": (
        pair("a-b: 20", "a-b: 20, b-a: 30"),
        5,
        "rtt_ms.b-a: expected each pair once, found 'b-a' again; remove one of the two.",
    ),
    "10 a round trip with its unit": (
        pair("a-b: 20", "a-b: 20ms"),
        5,
        f"rtt_ms.a-b: expected a number, found '20ms'{DIGITS}",
    ),
    "11 Latin-1": (
        pair("Two", "Zwölf").encode("latin-1"),
        1,
        "expected UTF-8 text, found the byte 0xf6, which is none; save the file as UTF-8.",
    ),
    "12 an alias bomb": (
        BOMB + PAIR,
        5,
        "expected at most 50,000 values, found more once aliases are written out; use fewer of them.",
    ),
    "13 a region in capitals": (
        pair("  a:", "  NO:"),
        3,
        "regions.NO: expected a small letter and up to 11 small letters or digits, found 'NO'.",
    ),
}
CASES = [
    pytest.param(file, *row, id=f"{file.split('/')[0]}: {name}")
    for file, table in (("experiments/short.yaml", EXPERIMENTS), ("topologies/pair.yaml", TOPOLOGIES))
    for name, row in table.items()
]


def refused(folder: Path, path: Path) -> str:
    """What `lab run short` says of a file before it does anything."""
    begun_s = time.monotonic()
    done = in_process.lab(folder, "run", "short")
    assert done.returncode == 12, (done.stdout, done.stderr)
    assert done.stdout == ""
    assert time.monotonic() - begun_s < 10, "told quickly"
    assert list((folder / "results").rglob("*")) == []
    assert not [mark for _, mark in reaper.marked() if mark.startswith(str(folder))]
    said, end = done.stderr.split(f"{path}:", 1)[1], done.stderr[-1]
    assert done.stderr.startswith(str(path)) and end == "\n" and done.stderr.count("\n") == 1
    return said.rstrip("\n")


@pytest.mark.parametrize(("file", "text", "line", "sentence"), CASES)
def test_a_wrong_file_is_told_so(tmp_path: Path, file: str, text: str | bytes, line: int, sentence: str) -> None:
    path = home(tmp_path) / file
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert refused(tmp_path, path) == f"{line}: {sentence}"


@pytest.mark.parametrize("file", ["experiments/short.yaml", "topologies/pair.yaml"])
def test_12_a_file_of_100_megabytes(tmp_path: Path, file: str) -> None:
    path = home(tmp_path) / file
    with path.open("wb") as out:
        out.truncate(100_000_000)
    assert (
        refused(tmp_path, path)
        == f"1: expected at most {MOST_KIB} KiB, found 97,657 KiB; give a file that people wrote."
    )


def test_every_sentence_says_what_was_expected_found_and_is_no_programmers() -> None:
    for _, _, sentence in [*EXPERIMENTS.values(), *TOPOLOGIES.values()]:
        assert re.search(r"unknown (key|setting)", sentence) or ("expected " in sentence and ", found " in sentence), (
            sentence
        )
        for word in (
            "Input should",
            "valid dictionary",
            "token",
            "scalar",
            "block",
            "None",
            "NoneType",
            "str ",
            "codec",
        ):
            assert word not in sentence, sentence


def test_13_what_is_text_in_yaml_1_2_is_text(tmp_path: Path) -> None:
    """A region may be called `no`, another `on`."""
    home(tmp_path)
    text = PAIR.replace("  a:", "  no:").replace("  b:", "  on:").replace("a-b", "no-on")
    (tmp_path / "topologies" / "pair.yaml").write_text(text)
    (tmp_path / "experiments" / "short.yaml").write_text(short("region: b", "region: on"))
    done = in_process.lab(tmp_path, "run", "short", "--plan")
    assert done.returncode == 0, done.stderr
    assert "nodes in no, on" in done.stdout and "latency of on" in done.stdout
