"""What can go wrong between the command line and a workflow's topics.

PenstockError
 ├── UnknownWorkflow   no such input or output topic on the broker
 ├── UnknownRun        no such run in any table, or not any more
 ├── AmbiguousRun      two workflows have a run of that id
 ├── NoReview          no review waits at that node
 ├── NoFork            a run that cannot be forked there
 ├── StateGone         a run's rows of an earlier time were compacted away
 ├── WindowGone        a window that is to be replayed is not whole any more
 ├── InUse             topics that are to be deleted while a worker consumes them
 └── NotDrained        a workflow that is to be moved while something of it is under way
"""

from __future__ import annotations

from streams.errors import PenstockError


class UnknownWorkflow(PenstockError):
    """The broker has no topics of that workflow.

    Operator action: start a worker for it once (it creates the topics), or correct the id or the address.
    """


class UnknownRun(PenstockError):
    """No run of that id is in the tables.

    Operator action: correct the id; `penstock runs list` shows those that are there.
    """


class AmbiguousRun(PenstockError):
    """A run id that more than one workflow has.

    Operator action: say which with `--workflow`.
    """


class NoReview(PenstockError):
    """Nobody is asked for a decision there.

    Operator action: `penstock review list` shows what waits; it may have been decided, or its time may be over.
    """


class NoFork(PenstockError):
    """A run that cannot be forked, or not at that node or with that edit.

    Operator action: wait for the run's end, name a node it has, or publish its input again if its state was dropped.
    """


class StateGone(PenstockError):
    """A run's state of some time is not kept any more.

    Operator action: ask for a later time; a longer `min.compaction.lag.ms` of the changelogs keeps more.
    """


class WindowGone(PenstockError):
    """Some of what is to be replayed was deleted by retention.

    Operator action: replay what is left (the message says from where), and lengthen the retention for the next time.
    """


class InUse(PenstockError):
    """A workflow's consumer group still has members.

    Operator action: stop its workers, then repeat.
    """


class NotDrained(PenstockError):
    """A workflow still has workers, records that were not read, or runs in flight.

    Operator action: let the workers finish, stop them, then repeat.
    """
