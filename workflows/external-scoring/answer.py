"""The node `score` with nothing but aiokafka."""

import asyncio
import json
import os

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer


async def main() -> None:
    """Answer requests for ever."""
    broker = os.environ.get("PENSTOCK_BOOTSTRAP", "127.0.0.1:9092")
    topic, group = "external-scoring.score.requests", "external-scoring-answer"
    reading = {"group_id": group, "enable_auto_commit": False, "auto_offset_reset": "earliest"}
    async with (
        AIOKafkaConsumer(topic, bootstrap_servers=broker, **reading) as requests,
        AIOKafkaProducer(bootstrap_servers=broker) as control,
    ):
        async for record in requests:
            request = json.loads(record.value)
            same = {key: request[key] for key in ("run_id", "node", "epoch", "attempt")}
            answer = {"type": "result", **same, "output": {"score": len(request["inputs"]["input"]["text"])}}
            await control.send_and_wait("external-scoring.control", json.dumps(answer).encode(), key=record.key)
            await requests.commit()


asyncio.run(main())
