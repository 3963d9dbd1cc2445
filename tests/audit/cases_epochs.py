"""(e), (g), (i): budgets and epochs."""

from __future__ import annotations

from schemas.records import CallLost, EpochOpened, Finished, LedgerRow, Reservation, Spent
from tests.audit.cases import but, case
from tests.audit.memory import Doctored


def _ledger(log: Doctored) -> LedgerRow:
    row = but(log.last_row("ledger").value)
    assert isinstance(row, LedgerRow)
    return row


@case("budgeted", "e.over-budget", "e.spent-differs")
def more_spent_than_allowed(log: Doctored) -> None:
    log.change_row("ledger", spent_tokens=10_001)


@case("budgeted", "e.over-budget")
def more_reserved_than_allowed_in_between(log: Doctored) -> None:
    first = log.of("table:ledger")[0]
    held = {"classify/0/1/0": Reservation(10_001, 0.1, "1970-01-01")}
    log.put(first, record=but(first.value, reserved=held))


@case("budgeted", "e.over-budget", "e.spent-differs")
def more_dollars_than_allowed(log: Doctored) -> None:
    log.change_row("ledger", spent_cost_usd=1.01)


@case("budgeted", "e.spent-differs")
def a_call_that_nobody_charged(log: Doctored) -> None:
    log.change_row("ledger", spent_tokens=_ledger(log).spent_tokens - 1)


@case("budgeted", "e.spent-differs")
def a_loss_that_was_charged_otherwise(log: Doctored) -> None:
    (loss,) = log.of("sentiment", CallLost)
    log.put(loss, record=but(loss.value, charged=Spent(1, 0, 0.0)))


@case("budgeted", "e.reserved-left")
def a_reservation_of_a_call_that_has_ended(log: Doctored) -> None:
    log.change_row("ledger", reserved={"classify/0/1/0": Reservation(5, 0.0, "1970-01-01")})


@case("budgeted", "e.reserved-left")
def a_reservation_of_a_call_nobody_made(log: Doctored) -> None:
    log.change_row("ledger", reserved={"classify/0/7/0": Reservation(5, 0.0, "1970-01-01")})


@case("redriven", "g.epoch", "c.node-row", "c.run-row", "c.result")
def an_epoch_that_was_opened_for_another_node(log: Doctored) -> None:
    (opened,) = log.of("run", EpochOpened)
    log.put(opened, record=but(opened.value, reopen=("b",)))


@case("redriven", "i.opened-early", "i.finished-missing")
def an_epoch_opened_before_the_last_one_was_finished(log: Doctored) -> None:
    log.drop(log.of("run", Finished)[0])
