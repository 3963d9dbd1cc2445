"""(a) and (b): inputs, commands, results; committed offsets."""

from __future__ import annotations

from dataclasses import replace

from schemas.headers import CE_ID, ERROR, RUN_ID
from schemas.ids import ce_id
from schemas.records import Finished, RunRow, Started
from tests.audit.cases import but, case, json_but
from tests.audit.memory import Doctored

# ---- (a) ------------------------------------------------------------------------------------------------------------


@case("chain", "a.input-lost")
def an_input_that_nobody_took(log: Doctored) -> None:
    log.append(log.of("input")[0], key=b"r9")


@case("poison", "a.input-lost")
def a_poison_record_without_its_dead_letter(log: Doctored) -> None:
    log.drop(log.of("dead-letter", run_id="bad")[0])


@case("poison", "a.input-twice")
def an_input_that_ran_and_was_refused(log: Doctored) -> None:
    at, letter = log.of("input")[0], log.of("dead-letter", run_id="bad")[0]
    identity = f"{at.topic}/{at.partition}/{at.offset}"
    copy = log.append(letter, key=b"r1", value=at.value, header=(CE_ID, f"{identity}/DeadLetter"))
    for name in ("topic", "partition", "offset"):
        copy = log.put(copy, header=(ERROR + name, str(getattr(at, name))))


@case("diamond", "a.input-twice", "a.input-changed", "a.input-lost", "a.run-id", "c.run-row")
def an_input_that_became_two_runs(log: Doctored) -> None:
    second = log.of("run", Started, "r2")[0]
    log.put(second, record=but(second.value, source=log.of("input")[0].position))


@case("chain", "a.input-changed")
def an_input_that_is_not_what_the_run_began_with(log: Doctored) -> None:
    log.put(log.of("input")[0], value=b'{"n": 7}')


@case("poison", "a.input-changed")
def a_dead_letter_that_is_not_what_came(log: Doctored) -> None:
    log.put(log.of("dead-letter", run_id="bad")[0], value=b"{}")


@case("chain", "a.input-missing")
def a_run_of_no_input(log: Doctored) -> None:
    log.drop(log.of("input")[0])


@case("poison", "a.input-missing")
def a_dead_letter_of_no_input(log: Doctored) -> None:
    log.drop(log.of("input", run_id="bad")[0])


@case("chain", "a.run-id")
def a_run_that_is_not_named_as_its_publisher_said(log: Doctored) -> None:
    log.put(log.of("input")[0], header=(RUN_ID, "another"))


@case("conflict", "a.conflict-lost")
def a_second_input_that_nobody_answered(log: Doctored) -> None:
    log.drop(log.of("dead-letter")[0])


@case("conflict", "a.conflict-unfounded", "a.conflict-lost", "a.input-changed", "g.ce-id")
def a_conflict_about_the_first_input(log: Doctored) -> None:
    first = log.of("input")[0]
    log.put(log.of("dead-letter")[0], header=(ERROR + "offset", str(first.offset)))


@case("chain", "a.run-lost", "i.result-missing")
def a_result_that_is_not_there(log: Doctored) -> None:
    log.drop(log.of("output")[0])


@case("waiting", "a.run-lost", "c.timer-missing")
def a_retry_that_nothing_will_wake(log: Doctored) -> None:
    log.append(log.last_row("timers"), value=None)


@case("chain", "a.run-lost", "c.node-row", "c.timer-missing")
def a_run_whose_launch_was_lost(log: Doctored) -> None:
    """The last node's row says nothing of it, and nobody runs it."""
    for topic in ("c", "output"):
        log.drop(log.of(topic)[0])
    log.drop(log.of("run", Finished)[0])
    log.change_row("run", status="running", finished_at=None, nodes=without_last(log))
    log.change_row("c", status="waiting", output=None, finished_at=None, model=None)


def without_last(log: Doctored) -> object:
    row = but(log.last_row("run").value)
    assert isinstance(row, RunRow)
    return {node: outcome for node, outcome in row.nodes.items() if node != "c"}


@case("chain", "a.without-start")
def a_result_of_no_run(log: Doctored) -> None:
    result = log.of("output")[0]
    body = json_but(result.value, run_id="r3")
    log.append(result, key=b"r3", value=body, header=(CE_ID, ce_id("r3", "run", 0, 0, "Result")))


@case("waiting", "a.without-start", "a.input-lost", "c.node-row", "c.run-row")
def attempts_of_a_run_that_never_started(log: Doctored) -> None:
    log.drop(log.of("run", Started)[0])


@case("chain", "a.result-differs", "c.result")
def a_second_result_that_says_something_else(log: Doctored) -> None:
    result = log.of("output")[0]
    log.append(result, value=json_but(result.value, status="failed"))


@case("chain", "a.result-differs", "g.ce-id")
def a_second_result_under_another_id(log: Doctored) -> None:
    log.append(log.of("output")[0], header=(CE_ID, "r1/run/0/1/Result"))


@case("cancelled", "a.command-lost")
def a_cancel_that_nobody_took(log: Doctored) -> None:
    control = next(entry for entry in log.entries if entry.topic == "wf.control")
    log.append(control)


# ---- (b) ------------------------------------------------------------------------------------------------------------


@case("chain", "b.behind")
def a_commit_that_stays_behind(log: Doctored) -> None:
    log.commit("output", -1)


@case("chain", "b.behind")
def a_commit_of_the_input_that_stays_behind(log: Doctored) -> None:
    log.commit("input", -1)


@case("chain", "b.beyond")
def a_commit_of_what_is_not_there(log: Doctored) -> None:
    log.commit("run", 1)


@case("chain", "b.missing")
def a_partition_without_a_commit(log: Doctored) -> None:
    for place, extent in log.extents.items():
        if place[0] == "wf.output":
            log.extents[place] = replace(extent, committed=None)
