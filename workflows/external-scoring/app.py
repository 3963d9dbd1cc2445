"""The node `score` as a faust app: `faust -A app worker -l info` in this folder, or `python app.py worker`."""

import os
from typing import Any

import faust

from streams.interop.faust import Request, external_node

app = faust.App(
    "external-scoring-app",
    broker=f"kafka://{os.environ.get('PENSTOCK_BOOTSTRAP', '127.0.0.1:9092')}",
    topic_disable_leader=True,
    topic_allow_declare=False,  # the Penstock worker makes the topics
    web_host="127.0.0.1",
    store="memory://",
)


@external_node(app, workflow="external-scoring", node="score")
async def score(inputs: dict[str, Any], request: Request) -> dict[str, int]:
    """Score a text by its length."""
    return {"score": len(inputs["input"]["text"])}


if __name__ == "__main__":
    app.main()
