"""A large batch is parted by partition: no partition is in two parts, and none of its records is out of order."""

from __future__ import annotations

from dataclasses import dataclass

from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.engine import FEW, lanes_of


@dataclass(frozen=True)
class Record:
    """All that is asked of a record here."""

    offset: int


BATCHES = st.dictionaries(
    st.builds(TopicPartition, st.sampled_from(["wf.run", "wf.a", "wf.b"]), st.integers(0, 9)),
    st.integers(1, 60).map(lambda count: [Record(offset) for offset in range(count)]),
)


@given(BATCHES)
def test_every_place_is_in_one_part_and_a_partition_s_places_are_together(batch: dict) -> None:
    lanes = lanes_of(batch)
    assert {place: records for lane in lanes for place, records in lane.items()} == batch
    assert sum(map(len, lanes)) == len(batch)
    of_partition = {(index, place.partition) for index, lane in enumerate(lanes) for place in lane}
    assert len({partition for _, partition in of_partition}) == len(of_partition)


@given(BATCHES)
def test_a_small_batch_stays_whole(batch: dict) -> None:
    few = sum(map(len, batch.values())) <= FEW
    assert (lanes_of(batch) == [batch]) if few else len(lanes_of(batch)) >= 1
