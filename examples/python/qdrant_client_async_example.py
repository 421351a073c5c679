"""Loads and searches Debian packages with qdrant-client's asynchronous client:
many requests are under way at once.

    python qdrant_client_async_example.py [http://127.0.0.1:6333]
"""

import asyncio
import sys
from collections.abc import AsyncIterator

from qdrant_client import AsyncQdrantClient, models

import packages
from packages import Packages, show

COLLECTION = "example_packages_async"
BATCH = 250


async def load(client: AsyncQdrantClient, data: Packages) -> None:
    size = data.vectors.shape[1]
    await client.create_collection(COLLECTION, models.VectorParams(size=size, distance=models.Distance.COSINE))
    await client.create_payload_index(COLLECTION, "section", models.PayloadSchemaType.KEYWORD)
    at_once = asyncio.Semaphore(4)

    async def upsert(rows: range) -> None:
        points = [
            models.PointStruct(id=row, vector=data.vectors[row].tolist(), payload=data.payloads[row]) for row in rows
        ]
        async with at_once:
            done = await client.upsert(COLLECTION, points, wait=True)
        assert done.status == models.UpdateStatus.COMPLETED

    rows = range(len(data.payloads))
    await asyncio.gather(*(upsert(rows[start : start + BATCH]) for start in rows[::BATCH]))
    assert (await client.count(COLLECTION)).count == len(rows)


async def search(client: AsyncQdrantClient, data: Packages) -> None:
    texts = list(data.queries)[:50]
    answers = await asyncio.gather(
        *(client.query_points(COLLECTION, query=data.queries[text], limit=3) for text in texts)
    )
    for text, answer in list(zip(texts, answers))[:3]:
        show(f"“{text}”", [(hit.score, hit.payload) for hit in answer.points])
    # Each answer is that of its own question.
    right = sum(
        abs(answer.points[0].score - data.best_scores(data.queries[text], 1)[0]) < 1e-4
        for text, answer in zip(texts, answers)
    )
    print(f"\n{right} of {len(texts)} searches found what is truly nearest")
    assert right >= 48


async def pages(client: AsyncQdrantClient, wanted: models.Filter) -> AsyncIterator[models.Record]:
    """All points that a filter finds, page by page."""
    page = None
    while True:
        points, page = await client.scroll(COLLECTION, wanted, limit=100, offset=page)
        for point in points:
            yield point
        if page is None:
            return


async def delete(client: AsyncQdrantClient, data: Packages) -> None:
    docs = models.Filter(must=[models.FieldCondition(key="section", match=models.MatchValue(value="doc"))])
    names = {point.payload["name"] async for point in pages(client, docs)}
    assert names == {payload["name"] for payload in data.payloads if payload["section"] == "doc"}
    await client.delete(COLLECTION, docs)
    left = (await client.count(COLLECTION)).count
    print(f"{len(names)} packages of documentation deleted, {left} are left")
    assert left == len(data.payloads) - len(names)
    assert [point async for point in pages(client, docs)] == []


async def main() -> None:
    client = AsyncQdrantClient(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:6333")
    data = packages.load(2000)
    await client.delete_collection(COLLECTION)
    for part in (load, search, delete):
        await part(client, data)
    await client.delete_collection(COLLECTION)
    await client.close()


if __name__ == "__main__":
    asyncio.run(main())
