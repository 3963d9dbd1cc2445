"""Objects of an S3 bucket, by obstore; credentials, region and endpoint come from the environment (`AWS_*`), as its other clients have it."""

from __future__ import annotations

import os
from typing import Any

from streams.claims.problems import Missing, Unreachable
from streams.errors import ClaimStoreError
from topology.claim_stores import bucket_of


class S3Store:
    """An `s3:` store. A `put` shows whole or not at all, that is S3's own promise."""

    def __init__(self, address: str) -> None:
        bucket, prefix = bucket_of(address)
        try:
            from obstore.store import S3Store as Bucket
        except ImportError:
            raise ClaimStoreError(f"{address}: needs the package `obstore`: pip install -e '.[s3]'") from None
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        options: Any = {"allow_http": True} if endpoint is not None and endpoint.startswith("http://") else {}
        config: Any = {} if endpoint is None else {"aws_endpoint": endpoint}
        self._bucket = Bucket(bucket, prefix=prefix or None, config=config, client_options=options)

    def put(self, name: str, content: bytes) -> None:
        """Write an object; one of that name is replaced, whole."""
        import obstore

        try:
            obstore.put(self._bucket, name, content)
        except Exception as error:
            raise Unreachable(_said(error)) from None

    def get(self, name: str, most: int) -> bytes:
        """Return an object, at most one byte more than `most`: enough to see that it is too long."""
        import obstore

        try:
            size = int(obstore.head(self._bucket, name)["size"])
            if size == 0:
                return b""
            return bytes(obstore.get_range(self._bucket, name, start=0, end=min(size, most + 1)))
        except FileNotFoundError:
            raise Missing(f"{name}: no such object") from None
        except Exception as error:
            raise Unreachable(_said(error)) from None


def _said(error: Exception) -> str:
    """Return the first line of what obstore says: the others are its debug output."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:300] if str(error).strip() else ''}"
