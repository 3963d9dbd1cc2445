"""(d), (f), (g), (h), (i): attempts, partitions, the records themselves, dead letters, order."""

from __future__ import annotations

from schemas.headers import CE_ID, CE_TYPE, ERROR
from schemas.ids import ce_id
from schemas.records import AttemptDue, AttemptFailed, Failed, Finished, Skipped, Succeeded
from streams.audit.snapshot import Entry
from tests.audit.cases import but, case
from tests.audit.memory import Doctored


def _renumbered(log: Doctored, entry: Entry, **changes: int) -> None:
    """Change a node record's numbers, its `ce_id` along with them."""
    record = but(entry.value, **changes)
    identity = ce_id(record.run_id, record.node, record.epoch, record.seq, type(record).__name__)
    log.put(entry, record=record, header=(CE_ID, identity))


# ---- (d) ------------------------------------------------------------------------------------------------------------


@case("retried", "d.seq-gap", "d.launch-early", "c.node-row")
def a_gap_in_the_sequence(log: Doctored) -> None:
    _renumbered(log, log.of("b", Succeeded)[0], seq=4)


@case("retried", "d.seq-reused")
def two_attempts_of_one_number(log: Doctored) -> None:
    log.append(log.of("b", AttemptFailed)[1], record=but(log.of("b", AttemptFailed)[1].value, attempt=1))


@case("retried", "d.attempt-gap", "c.node-row", "c.run-row", "c.result")
def attempts_that_do_not_count_on(log: Doctored) -> None:
    log.put(log.of("b", Succeeded)[0], record=but(log.of("b", Succeeded)[0].value, attempt=5))


@case("retried", "d.launch-early")
def an_attempt_before_its_time(log: Doctored) -> None:
    log.drop(log.of("b", AttemptDue)[1])


@case("retried", "d.launch-after-end")
def an_attempt_after_the_end(log: Doctored) -> None:
    done = log.of("b", Succeeded)[0]
    _renumbered(log, log.append(done), seq=4, attempt=4)


@case("failed", "d.launch-after-end")
def an_attempt_after_a_skip(log: Doctored) -> None:
    """`c` was skipped, for `b` had failed: nobody may run it then."""
    from schemas.records import Json, Spent

    late = Succeeded("r1", "c", 0, 1, 1, Json("{}"), Spent(), None, 5, 6)
    made = log.append(log.of("c", Skipped)[0], record=late, header=(CE_TYPE, "Succeeded"))
    log.put(made, header=(CE_ID, ce_id("r1", "c", 0, 1, "Succeeded")))


@case("failed", "d.end-unfounded", "c.node-row", "c.run-row", "c.result", "h.differs")
def an_end_that_counts_other_attempts(log: Doctored) -> None:
    log.put(log.of("b", Failed)[0], record=but(log.of("b", Failed)[0].value, attempt=2))


@case("waiting", "d.due-unfounded")
def a_wait_that_ended_and_never_began(log: Doctored) -> None:
    made = log.append(log.of("a")[0], record=AttemptDue("r1", "a", 0, 1, 5), header=(CE_TYPE, "AttemptDue"))
    log.put(made, header=(CE_ID, ce_id("r1", "a", 0, 1, "AttemptDue")))


@case("chain")
def an_execution_made_again(log: Doctored) -> None:
    """A figure, not a violation."""
    log.append(log.of("b", Succeeded)[0])


# ---- (f) ------------------------------------------------------------------------------------------------------------


@case("chain", "f.partition")
def a_repeat_in_another_partition(log: Doctored) -> None:
    done = log.of("b", Succeeded)[0]
    log.append(done, partition=1 - done.partition)


@case("chain", "f.partition")
def a_result_in_another_partition(log: Doctored) -> None:
    done = log.of("output")[0]
    log.append(done, partition=1 - done.partition)


@case("retried", "f.partition")
def a_timer_s_row_in_another_partition(log: Doctored) -> None:
    row = log.last_row("timers")
    log.append(row, partition=1 - row.partition)


# ---- (g) ------------------------------------------------------------------------------------------------------------


@case("chain", "g.undecodable")
def a_record_that_does_not_decode(log: Doctored) -> None:
    log.append(log.of("b")[0], value=b"\0\0\0\0\1what")


@case("chain", "g.undecodable")
def a_result_that_is_no_json(log: Doctored) -> None:
    log.append(log.of("output")[0], value=b"{")


@case("chain", "g.key")
def a_record_under_another_key(log: Doctored) -> None:
    log.append(log.of("b")[0], key=b"r3")


@case("chain", "g.key")
def a_result_under_another_key(log: Doctored) -> None:
    log.append(log.of("output")[0], key=b"r3")


@case("chain", "g.misplaced")
def a_record_of_another_node(log: Doctored) -> None:
    log.append(log.of("b")[0], value=log.of("c")[0].value)


@case("chain", "g.ce-id")
def a_record_with_another_id(log: Doctored) -> None:
    log.put(log.of("b")[0], header=(CE_ID, "r1/b/0/2/Succeeded"))


@case("chain", "g.ce-type")
def a_record_with_another_type(log: Doctored) -> None:
    log.put(log.of("run", Finished)[0], header=(CE_TYPE, "Finished2"))


@case("chain", "g.epoch")
def a_record_of_an_epoch_nobody_opened(log: Doctored) -> None:
    _renumbered(log, log.append(log.of("b", Succeeded)[0]), epoch=3)


@case("failed", "h.missing", "h.unfounded")
def a_dead_letter_under_another_id(log: Doctored) -> None:
    log.put(log.of("dead-letter")[0], header=(CE_ID, "r1/b/0/7/DeadLetter"))


# ---- (h) ------------------------------------------------------------------------------------------------------------


@case("failed", "h.missing")
def a_failure_without_its_dead_letter(log: Doctored) -> None:
    log.drop(log.of("dead-letter")[0])


@case("failed", "h.differs")
def a_dead_letter_that_shows_other_inputs(log: Doctored) -> None:
    log.put(log.of("dead-letter")[0], value=b'{"input":{"n":1},"a":null}')


@case("failed", "h.differs")
def a_dead_letter_that_tells_another_cause(log: Doctored) -> None:
    log.put(log.of("dead-letter")[0], header=(ERROR + "message", "no idea"))


@case("failed", "h.differs")
def a_second_dead_letter_that_is_another_one(log: Doctored) -> None:
    log.append(log.of("dead-letter")[0], value=b"{}")


@case("failed")
def the_same_dead_letter_again(log: Doctored) -> None:
    """A figure, not a violation."""
    log.append(log.of("dead-letter")[0])


@case("failed", "h.unfounded")
def a_dead_letter_of_a_node_that_did_not_fail(log: Doctored) -> None:
    made = log.append(log.of("dead-letter")[0], header=(CE_ID, "r1/a/0/1/DeadLetter"))
    log.put(made, header=(ERROR + "node", "a"))


@case("failed", "h.unfounded")
def a_dead_letter_of_nothing(log: Doctored) -> None:
    letter = log.of("dead-letter")[0]
    log.append(letter, headers=((CE_ID, b"x"),))


# ---- (i) ------------------------------------------------------------------------------------------------------------


@case("waiting", "i.finished-early", "c.run-row", "i.result-missing")
def a_run_that_was_finished_too_early(log: Doctored) -> None:
    log.append(log.of("run")[0], record=Finished("r1", 0, "success", 5), header=(CE_TYPE, "Finished"))
    log.put(log.of("run")[-1], header=(CE_ID, ce_id("r1", "run", 0, 0, "Finished")))


@case("chain", "i.finished-differs", "c.run-row")
def a_finished_that_says_otherwise(log: Doctored) -> None:
    finished = log.of("run", Finished)[0]
    log.put(finished, record=but(finished.value, status="failed"))


@case("chain", "i.finished-differs")
def a_second_finished_that_says_otherwise(log: Doctored) -> None:
    finished = log.of("run", Finished)[0]
    log.append(finished, record=but(finished.value, finished_at=99))


@case("chain", "i.finished-missing", "c.run-row")
def a_result_without_finished(log: Doctored) -> None:
    log.drop(log.of("run", Finished)[0])


@case("chain", "i.result-missing", "a.run-lost")
def a_finished_without_result(log: Doctored) -> None:
    log.drop(log.of("output")[0])
