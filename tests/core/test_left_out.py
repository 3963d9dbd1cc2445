"""What rows leave out, and how it is filled in again."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from schemas.quick import replace
from schemas.records import EpochOpened, Gathered, Json, NodeRow, Provenance
from streams.core import node_agent
from streams.core.ahead import is_partial
from streams.core.left_out import LeftOut, whole_run
from tests.core.examples import MOMENT, RUN, SOURCE, node, started, succeeded
from tests.plans import DIAMOND, for_each, plan_of

ELSEWHERE = Gathered("success", in_source=True)
outputs = st.none() | st.sampled_from(['{"a":1}', '{"a":2}', ""]).map(Json)


def ended(output: str, **gathered: Gathered) -> NodeRow:
    return NodeRow(RUN, "success", started=True, output=Json(output), gathered=gathered)


def diamond() -> dict[str, NodeRow]:
    """Return the rows of a run that has ended, whole."""
    given, first = Gathered("success", Json("{}")), Gathered("success", Json('{"c":1}'))
    second, third = Gathered("success", Json('{"e":1}')), Gathered("failed")
    return {
        "classify": ended('{"c":1}', input=given),
        "extract": ended('{"e":1}', input=given, classify=first),
        "sentiment": NodeRow(RUN, "failed", started=True, gathered={"input": given, "classify": first}),
        "summarize": ended("{}", input=given, classify=first, extract=second, sentiment=third),
    }


def written(rows: Mapping[str, NodeRow]) -> dict[str, NodeRow]:
    left_out = LeftOut(plan_of(DIAMOND))
    return {
        name: left_out.written(name, row, rows.get) if name in left_out.nodes else row for name, row in rows.items()
    }


def test_an_output_stands_in_one_row_alone() -> None:
    found = written(diamond())
    assert found["classify"] == diamond()["classify"]
    assert found["summarize"].gathered == {
        "input": ELSEWHERE,
        "classify": ELSEWHERE,
        "extract": ELSEWHERE,
        "sentiment": Gathered("failed"),
    }
    assert found["summarize"].output == "{}"


def test_what_was_left_out_is_filled_in() -> None:
    rows = written(diamond())
    left_out = LeftOut(plan_of(DIAMOND))
    assert {name: left_out.whole(name, row, rows.get) for name, row in rows.items()} == diamond()
    assert whole_run(rows) == diamond()


def test_where_an_output_comes_from_stays() -> None:
    rows, made_by = diamond(), Provenance("m")
    of = rows["extract"].gathered["classify"]
    rows["extract"] = replace(rows["extract"], gathered={"classify": replace(of, made_by=made_by)})
    assert written(rows)["extract"].gathered["classify"] == replace(ELSEWHERE, made_by=made_by)
    assert whole_run(written(rows)) == rows


@given(
    st.fixed_dictionaries(dict.fromkeys(("input", "classify", "extract", "sentiment"), outputs)),
    st.fixed_dictionaries(dict.fromkeys(DIAMOND, outputs)),
    st.fixed_dictionaries({name: st.sampled_from([0, 0, 3]) for name in DIAMOND}),
    st.sampled_from([0, 0, 3]),
)
def test_whatever_its_sources_rows_say_a_row_comes_back_whole(
    seen: dict[str, Json | None], has: dict[str, Json | None], epochs: dict[str, int], opened: int
) -> None:
    """Also where they say something else by now: then nothing is left out."""
    rows = {
        name: NodeRow(
            RUN, "success", epochs[name], output=has[name], gathered={"input": Gathered("success", seen["input"])}
        )
        for name in DIAMOND
    }
    gathered = {name: Gathered("success", output) for name, output in seen.items()}
    row = rows["summarize"] = replace(rows["summarize"], gathered=gathered, opened=opened)
    left_out = LeftOut(plan_of(DIAMOND))
    short = left_out.written("summarize", row, rows.get)
    assert left_out.whole("summarize", short, rows.get) == row
    assert not (opened and is_partial(short))


def test_a_node_whose_items_see_its_row_keeps_all() -> None:
    plan = plan_of(DIAMOND, nodes={"extract": for_each("extract")})
    assert LeftOut(plan).nodes == {"sentiment", "summarize"}


# ---- a row that was read in part, for a crash took the row it refers to ---------------------------------------------

PARTIAL = NodeRow(
    RUN, "running", seq=1, attempt=1, started=True, gathered={"input": Gathered("success", Json("{}")), "up": ELSEWHERE}
)


def test_its_own_records_wait_till_the_rest_comes_again() -> None:
    held = node_agent.decide(node(), PARTIAL, succeeded("n"), MOMENT).row
    assert isinstance(held, NodeRow)
    assert (held.status, len(held.ahead)) == ("running", 1)
    found = node_agent.decide(node(), held, succeeded("up"), MOMENT).row
    assert isinstance(found, NodeRow)
    assert (found.status, found.ahead, found.gathered["up"].output) == ("success", (), succeeded("up").output)


def test_the_input_comes_again_with_the_start() -> None:
    row = replace(PARTIAL, gathered={"input": ELSEWHERE})
    found = node_agent.decide(node(), row, started(), MOMENT).row
    assert found == replace(row, gathered={"input": Gathered("success", started().input)})


def test_an_opening_waits_unless_the_source_begins_anew_itself() -> None:
    row = replace(PARTIAL, status="success")

    def after(*reopen: str) -> NodeRow:
        opened = EpochOpened(RUN, 4, 0, "n", reopen, None, "hash", "1", None, 0, 0, SOURCE)
        found = node_agent.decide(node(), row, opened, MOMENT).row
        assert isinstance(found, NodeRow)
        return found

    assert (after("n").epoch, len(after("n").ahead)) == (0, 1)
    assert (after("up", "n").epoch, after("up", "n").gathered.keys()) == (4, {"input"})
