"""What a reader of a terminal and of the page is told."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from lab.comparison import limits, overview, page, tables, words
from lab.comparison.gather import Compared
from tests.comparison import made
from tests.comparison.made import A, B


@pytest.fixture
def found(tmp_path: Path) -> Compared:
    calm = [made.run(tmp_path, A, seed, faults=False, p99_ms=40.0 + seed) for seed in (1, 2, 3)]
    return made.compared(made.pairs(tmp_path), calm)


@pytest.fixture
def one(tmp_path: Path) -> Compared:
    return made.compared(made.pairs(tmp_path, 1))


def drawn(what: RenderableType, width: int) -> list[str]:
    console = Console(width=width, highlight=False, no_color=True)
    with console.capture() as capture:
        console.print(what)
    return [line.rstrip() for line in capture.get().splitlines()]


def rows(lines: list[str]) -> dict[tuple[str, str, str], list[str]]:
    """(region, phase, number) → its cells, region and phase filled in."""
    found: dict[tuple[str, str, str], list[str]] = {}
    region = phase = ""
    for line in lines[next(i for i, line in enumerate(lines) if line.startswith("region")) + 1 :]:
        cells = re.split(r"  +", line)
        if not line.startswith("  ") and cells[0].rstrip("*") in ("all", "us", "sg"):
            region, phase = cells.pop(0), ""
        cells = [cell for cell in cells if cell]
        if cells and cells[0] in ("steady", "fault", "recovery", "all"):
            phase = cells.pop(0)
        if cells:
            found.setdefault((region, phase, cells[0]), cells[1:])
    return found


def test_a_terminal_has_the_arms_beside_each_other(one: Compared) -> None:
    lines = drawn(tables.text(one, 120), 120)
    assert lines[0] == f"gray on pair, leaders in home, seed 1: {A} beside {B}"
    said = rows(lines)
    assert said["us", "fault", "available, %"] == ["70", "95", "+25"]
    assert said["us", "fault", "put"] == ["60", "85", "+25"]
    assert said["us", "fault", "stale max, s"] == ["2", "30", "+28"]
    assert said["us", "fault", "p99, ms"] == ["5,001", "5", "−4,996"]
    assert said["us", "recovery", "available, %"] == ["100", "100", "0"]
    assert said["us", "all", "errors"] == ["late 100, timeout 7", "none"]
    assert said["all", "", "writes lost"] == ["0", "0", "0"]
    assert said["sg*", "fault", "stale max, s"] == ["–", "–", "–"]
    text = " ".join(lines)
    assert f"{A}: invalid (isolation), not expected; us could not put for 10 s" in text
    assert f"{B}: valid, expected; us kept working" in text
    assert "of one seed it has no interval" in text and "*: named by a fault" in text


def test_of_several_seeds_numbers_have_their_interval(found: Compared) -> None:
    lines = drawn(tables.text(found, 140), 140)
    said = rows(lines)
    assert said["us", "fault", "available, %"] == ["70.0 [45.2–94.8]", "95", "+25.0 [+0.2 to +49.8]"]
    text = " ".join(lines)
    assert f"{A}: 3 × invalid (isolation), 0 of 3 as expected; blast radius: us in 3 of 3 (put 3)." in text
    assert f"{B}: 3 × valid, all as expected; blast radius: empty." in text
    assert tables.CONTROLS in text
    control = lines[lines.index(tables.CONTROLS) :]
    assert next(line.split()[-2:] for line in control if "p99, ms" in line) == ["[39.5–44.5]", "–"]


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_no_number_is_torn(found: Compared, width: int) -> None:
    lines = drawn(tables.text(found, width), width)
    assert max(map(len, lines)) <= width
    assert any("[45.2–94.8]" in line for line in lines)
    assert not any("…" in line for line in lines)


def test_three_arms_have_their_differences_where_there_is_room(tmp_path: Path) -> None:
    third = made.run(tmp_path, "memory+bug=stale_reads", 1, us_fault=0.9)
    found = made.compared([*made.pairs(tmp_path, 1), third])
    wide, narrow = (" ".join(drawn(tables.text(found, width), width)) for width in (160, 80))
    assert "memory+bug=stale_reads" in wide.replace(" ", "") and "+20" in wide
    assert "+20" not in narrow and "90" in narrow


def test_who_is_left_out_is_said_everywhere(tmp_path: Path) -> None:
    found = made.compared([*made.pairs(tmp_path, 1), made.run(tmp_path, A, 4)])
    said = "Left out of every number: memory, seed 4 (results/gray/memory/20260101T000004Z-s4): no partner of seed 4"
    for text in (drawn(tables.text(found, 300), 300), drawn(overview.text([found.data], 300), 300)):
        assert any(said in line for line in text)
    assert said in page.html(found) and said in page.limits_html(found)


def test_many_questions_are_one_table(found: Compared, tmp_path: Path) -> None:
    other = [made.run(tmp_path, arm, 1, leaders_in="faulted", name=f"other-{arm}") for arm in (A, B)]
    lines = drawn(overview.text([found.data, made.compared(other).data], 100), 100)
    assert [line for line in lines if line.startswith("gray")] == [
        "gray, leaders in home", "gray, leaders in faulted",
    ]  # fmt: skip
    first = next(line for line in lines if line.startswith(f"  {A} "))
    assert first.split()[1:] == ["3", "×", "us", "3/3", "70.0", "2", "0", "0"]
    unnamed = found.data.model_copy(update={"regions": {"us": False, "sg": False}})
    lines = drawn(overview.text([unnamed], 100), 100)
    worst = next(line for line in lines if line.startswith(f"  {A} "))
    assert worst.split()[5] == "50", "sg's, the least of both"


@pytest.mark.parametrize(
    ("values", "sure"), [((1.0, 1.1, 0.9), True), ((1.0, -1.0, 0.5), False), ((2.0, 2.0, 2.0), True), ((5.0,), False)]
)
def test_a_difference_is_sure_where_its_interval_leaves_out_nothing(values: tuple[float, ...], sure: bool) -> None:
    from lab.comparison.numbers import ANY
    from lab.repeats.gather import spread

    assert words.sure(spread(values, ANY)) is sure


# -- the page ------------------------------------------------------------------------------------------------


def cells(html: str, *begin: str) -> list[str]:
    """The cells of the first row that holds these texts, without tags."""
    for row in re.findall(r"<tr.*?</tr>", html):
        inner = [re.sub(r"<[^>]+>", " ", cell) for cell in re.findall(r"<td.*?</td>", row)]
        texts = [" ".join(unescape(text).split()) for text in inner]
        if all(text in texts for text in begin):
            return texts
    raise AssertionError(begin)


def test_the_first_screen_has_availability_beside_staleness(one: Compared) -> None:
    html = page.html(one)
    assert cells(html, "us", "all", A)[4:] == [
        "100", "70", "100", "0.2", "2", "2,500", "2,500", "5,001", "9", "0", "1", "late 100, timeout 7",
    ]  # fmt: skip
    row = re.findall(r"<tr.*?</tr>", html)
    difference = next(cells(one_row, "difference") for one_row in row if "+25" in one_row)
    assert difference[2:7] == ["0", "+25", "0", "+2.8", "+28"]
    assert "✗ invalid (isolation), not expected" in html and "✓ valid, expected" in html
    assert "sg <span class='faint'>(faulted)</span>" in html
    command = "BACKENDS='memory memory+bug=spreads' LEADERS_IN=home SEED=1 RUNTIME=memory<"
    assert command in unescape(html)


def test_several_seeds_and_controls_on_the_first_screen(found: Compared) -> None:
    html = page.html(found)
    assert "70.0<br><small>[45.2–94.8]</small>" in html
    assert "<b>+25.0<br><small>[+0.2 to +49.8]</small></b>" in html, "sure"
    assert cells(html, f"{A}, no fault")[8:10] == ["21.0 [19.8–22.2]", "42.0 [39.5–44.5]"]
    assert "REPEATS=3" in html


def test_what_hurts_is_marked(tmp_path: Path) -> None:
    found = made.compared([made.run(tmp_path, A, 1, us_fault=0.5, lost=2), made.run(tmp_path, B, 1, us_fault=0.96)])
    html = page.html(found)
    assert "<td class='hurt'>50</td>" in html and "<td class='hurt'>2</td>" in html
    assert "<td class='hurt'>96</td>" not in html


def test_never_recovered_is_said(tmp_path: Path) -> None:
    runs = [made.run(tmp_path, arm, seed, never=(arm, seed) == (A, 2), outage_s=5) for seed in (1, 2) for arm in (A, B)]
    html = page.html(made.compared(runs))
    assert "1 in 1 of 2; never in 1 of 2" in html


def test_pieces_below_it(found: Compared) -> None:
    assert cells(page.lags_html(found), "us → sg", A)[2:] == ["–"] * 3 + ["7", "7", "3"] + ["–"] * 3
    assert cells(page.stale_html(found), "us", A)[2:] == ["0.1", "1", "0.2", "2", "0.2", "2"]
    assert cells(page.latency_html(found), "us, put", A)[4:6] == ["2,501 [2,500–2,502]", "5,002 [5,000–5,004]"]
    assert cells(page.errors_html(found), "us", A)[2:] == ["207 [0–455]", "200 [0–448]", "7"]
    differing = cells(page.differences_html(found), "availability", "us", "all", "fault", B)
    assert differing == ["availability", "us", "all", "fault", B, "70.0 [45.2–94.8]", "95", "+25.0 [+0.2 to +49.8]"]
    assert "collateral_region_seconds" in page.differences_html(found)
    assert ">divergent_keys<" not in page.differences_html(found), "it does not differ"


def test_what_people_wrote_is_escaped(tmp_path: Path) -> None:
    bad = "<script>x</script>"
    runs = [made.run(tmp_path, arm, 1, errors={bad: 3}) for arm in (A, B)]
    found = made.compared(runs)
    asked = found.data.model_copy(update={"question": bad, "experiment": bad})
    told = Compared(asked, found.runs, found.controls, found.given)
    for html in (page.html(told), page.errors_html(told), page.differences_html(told), page.limits_html(told)):
        assert bad not in html
    assert "&lt;script&gt;" in page.html(told)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"environment": {"git": "new", "host": {"cores": 2}}}, "different versions of the lab", id="lab"),
        pytest.param({"environment": {"git": "abc", "host": {"cores": 9}}}, "different machines", id="machine"),
        pytest.param({"lag_ms": None, "divergent": None}, f"Not measured on {B}: divergent keys", id="unmeasured"),
        pytest.param({}, "No run without a fault is there to hold memory and memory+bug=spreads", id="control"),
        pytest.param({}, "1 seed gave no interval", id="seed"),
    ],
)  # fmt: skip
def test_limits_say_what_can_not_be_said(tmp_path: Path, change: dict[str, object], said: str) -> None:
    runs = [made.run(tmp_path, A, 1), made.run(tmp_path, B, 1, **change)]  # type: ignore[arg-type]
    assert any(said in line for line in limits.limits(made.compared(runs)))
    if change:
        plain = [made.run(tmp_path / "plain", arm, 1) for arm in (A, B)]
        assert not any(said in line for line in limits.limits(made.compared(plain)))


def test_nothing_proven_is_said_without_stumbling(tmp_path: Path) -> None:
    found = made.compared([made.run(tmp_path, arm, 1, verdict="unknown") for arm in (A, B)])
    assert found.data.seeds == [] and not found.data.decides
    assert "proves nothing" in page.html(found)
    text = " ".join(drawn(tables.text(found, 100), 100))
    assert "no seed that counts" in text and text.count("proves nothing") == 2 and "–" not in text
    for piece in (page.lags_html, page.stale_html, page.latency_html, page.errors_html, page.differences_html):
        assert piece(found)
