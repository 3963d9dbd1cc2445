"""The committed offsets of the group, or an error: never "none" because the broker could not say.

aiokafka's own `committed` looks at each partition's error alone. A coordinator that is still loading (a broker just restarted)
answers with an error for the whole group and no partitions, which reads there as "nothing was ever committed": the group would
begin anew, and with `earliest` read everything again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError, for_code
from aiokafka.protocol.commit import OffsetFetchRequest

NO_OFFSET = -1


async def committed_of(
    consumer: AIOKafkaConsumer, group: str, places: Collection[TopicPartition]
) -> dict[TopicPartition, int | None]:
    """Return each place's committed offset, None where the coordinator says that there is none.

    Raises:
        KafkaError: the coordinator could not say; ask again.
    """
    if not places:
        return {}
    by_topic: defaultdict[str, list[int]] = defaultdict(list)
    for place in places:
        by_topic[place.topic].append(place.partition)
    coordinator = consumer._coordinator  # noqa: SLF001 - its public face hides the error this is about
    await coordinator.ensure_coordinator_known()
    response = await coordinator._send_req(OffsetFetchRequest(group, list(by_topic.items())))  # noqa: SLF001
    _raise(getattr(response, "error_code", 0), coordinator)
    found: dict[TopicPartition, int | None] = {}
    for topic, partitions in response.topics:
        for partition, offset, _, code in partitions:
            _raise(code, coordinator)
            found[TopicPartition(topic, partition)] = None if offset == NO_OFFSET else offset
    if missing := set(places) - set(found):
        raise GroupCoordinatorNotAvailableError(f"no answer for {sorted(map(str, missing))}")
    return found


def _raise(code: int, coordinator: object) -> None:
    if not code:
        return
    error = for_code(code)
    if error is NotCoordinatorForGroupError:
        coordinator.coordinator_dead()  # type: ignore[attr-defined]
    raise error(f"committed offsets: error {code}")
