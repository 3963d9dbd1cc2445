"""Following the topics: which there are, from where each is read, and what comes, for as long as the console runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from penstock.client import connections, reading
from penstock.client.look import topic_of, why
from penstock.client.workflows import Workflow, workflows_among
from penstock.console.readmodel import fold as folding
from penstock.console.readmodel.hub import Hub
from penstock.console.readmodel.left_out import LeftOut
from penstock.console.readmodel.sources import Source, shared_sources, sources_of
from penstock.console.readmodel.store import Store
from penstock.console.traces import trace_of
from schemas.codec import dumps
from streams.engine.clients import connected_admin
from streams.engine.config import EngineConfig
from streams.engine.topics import partition_counts
from streams.errors import BrokerUnreachable, PenstockError, Unreadable
from topology.naming import run_topic

log = structlog.get_logger(__name__)

DISCOVER_EVERY_S = 1.0
"""How often it is asked which topics there are: a new workflow shows after that."""
POLL_MS = 200
BATCH = 5000
AGAIN_AFTER_S = 2.0


class Follower:
    """Folds what comes in the topics of all workflows of a broker into the store."""

    def __init__(self, config: EngineConfig, store: Store, hub: Hub) -> None:
        self._config = config
        self._store = store
        self._hub = hub
        self._sources: dict[str, Source] = {}
        self.topics: Mapping[str, int] = {}
        self._goal: dict[TopicPartition, int] = {}
        self._looked_at = 0.0
        self._stale = True
        self._left_out = LeftOut()

    async def run(self) -> None:
        """Follow until cancelled; a broker that is away is told and tried again, a workflow that cannot be read is left out for a while."""
        while True:
            try:
                await self._follow()
            except (KafkaError, BrokerUnreachable, OSError) as error:
                self._stumbled("unreachable", error)
            except PenstockError as error:
                self._stumbled("ok", error)
            except Exception as error:
                log.error("the read model stands still", traceback=trace_of(error))
                self._stumbled("ok", error)
            await asyncio.sleep(AGAIN_AFTER_S)

    def _stumbled(self, broker: str, error: Exception) -> None:
        status = self._hub.status
        status.broker, status.error = broker, str(error) or type(error).__name__
        self._hub.wake()

    async def _follow(self) -> None:
        async with connected_admin(self._config) as admin, connections.reader(self._config) as reader:
            self._stale, self._goal = True, {}
            while True:
                try:
                    await self._step(admin, reader)
                except (Unreadable, TopicAuthorizationFailedError) as error:
                    self._leave_out(error)

    async def _step(self, admin: AIOKafkaAdminClient, reader: AIOKafkaConsumer) -> None:
        await self._look(admin, reader)
        if not self._sources:
            self._stands(0)
            await asyncio.sleep(POLL_MS / 1000)
            return
        batch = await reader.getmany(timeout_ms=POLL_MS, max_records=BATCH)
        if batch:
            await self._fold(reader, batch)
        await self._say(reader)

    def _leave_out(self, error: Exception) -> None:
        """Go on without the workflow that cannot be read; what was fetched with it is fetched again."""
        source = self._sources.get(topic_of(error) or "")
        if source is None:
            raise error
        self._left_out.add(source.workflow, why(error), asyncio.get_running_loop().time())
        self._stale = True

    async def _look(self, admin: AIOKafkaAdminClient, reader: AIOKafkaConsumer) -> None:
        """See which topics there are, every now and then, and go on with those."""
        now = asyncio.get_running_loop().time()
        if not self._stale and now < self._looked_at + DISCOVER_EVERY_S:
            return
        topics = await partition_counts(admin)
        self._looked_at = now
        if self._left_out.are_due(now) or topics != self.topics:
            self._stale = True
        if self._stale:
            self.topics = topics  # first: what is listed can be asked for and written to
            await self._assign(reader, topics)
            self._stale = False

    async def _assign(self, reader: AIOKafkaConsumer, topics: Mapping[str, int]) -> None:
        found = workflows_among(topics)
        for gone in self._known() - found.keys():
            self._forget(gone)
        all_ = [*shared_sources(topics), *(source for one in found.values() for source in sources_of(one, topics))]
        sources = {source.topic: source for source in all_ if source.workflow not in self._left_out}
        self._sources = sources
        places = [place for source in sources.values() for place in reading.places_of(source.topic, source.partitions)]
        if not places:
            self._note(found)
            return
        reader.assign(places)
        ends = await reader.end_offsets(places)
        for workflow in await self._made_anew(reader, found, sources, ends):
            self._forget(workflow)
        self._note(found)
        reader.assign(places)
        at = self._places()
        for place in places:
            if tuple(place) in at:
                reader.seek(place, at[tuple(place)][0])
        new = [place for place in places if tuple(place) not in at]
        if new:
            await reader.seek_to_beginning(*new)
        self._goal = dict(ends)

    async def _made_anew(
        self,
        reader: AIOKafkaConsumer,
        found: Mapping[str, Workflow],
        sources: Mapping[str, Source],
        ends: Mapping[TopicPartition, int],
    ) -> set[str]:
        """Return the workflows whose topics are not those that were folded: shorter, or with another record in its place."""
        at = self._places()
        shorter = {
            sources[place.topic].workflow for place, end in ends.items() if end < at.get(tuple(place), (0, 0))[0]
        }
        # A topic's id would say it, but aiokafka does not tell it. Journals of runs are not compacted: the last record is there.
        journals = {run_topic(id_) for id_ in found.keys() - shorter}
        held = [place for place in ends if place.topic in journals and tuple(place) in at]
        begins = await reader.beginning_offsets(held) if held else {}
        held = [place for place in held if begins[place] < at[tuple(place)][0]]
        other = set()
        for place in held:
            reader.assign([place])
            reader.seek(place, at[tuple(place)][0] - 1)
            for records in (await reader.getmany(timeout_ms=reading.SILENT_MS, max_records=1)).values():
                if records and records[0].timestamp != at[tuple(place)][1]:
                    other.add(sources[place.topic].workflow)
        return shorter | other

    async def _fold(self, reader: AIOKafkaConsumer, batch: folding.Batch) -> None:
        known = {place: records for place, records in batch.items() if place.topic in self._sources}
        try:
            changes = await asyncio.to_thread(folding.fold, self._store.writer, self._sources, known)
        except folding.OtherTopic as other:
            self._forget(other.workflow)
            self._stale = True
            return
        if changes:
            self._hub.tell(changes)

    def _forget(self, workflow: str) -> None:
        self._left_out.forget(workflow)
        self._store.forget(workflow)
        self._hub.tell_workflow(workflow)

    async def _say(self, reader: AIOKafkaConsumer) -> None:
        """Tell how far the fold is behind, and whether what there was at the start is folded."""
        behind = 0
        for place in reader.assignment():
            end = max(self._goal.get(place, 0), reader.highwater(place) or 0)
            behind += max(0, end - await reader.position(place))
        self._stands(behind)

    def _stands(self, behind: int) -> None:
        status = self._hub.status
        before = replace(status)
        if behind == 0:
            self._left_out.caught_up()
        status.behind, status.broker, status.error, status.unreadable = behind, "ok", None, self._left_out.reasons
        status.ready = status.ready or behind == 0
        for changed in before.unreadable.items() ^ status.unreadable.items():
            self._hub.tell_workflow(changed[0])
        if before != status:
            self._hub.wake()

    def _known(self) -> set[str]:
        return {row["id"] for row in self._store.writer.execute("select id from workflows")}

    def _places(self) -> dict[tuple[str, int], tuple[int, int]]:
        rows = self._store.writer.execute("select topic, partition, next_offset, last_timestamp from places")
        return {(row["topic"], row["partition"]): (row["next_offset"], row["last_timestamp"]) for row in rows}

    def _note(self, found: Mapping[str, Workflow]) -> None:
        rows = [(one.id, one.partitions, dumps(list(one.nodes))) for one in found.values()]
        with self._store.writer as db:
            db.executemany("insert or replace into workflows values (?, ?, ?)", rows)
        for one in found:
            self._hub.tell_workflow(one)
