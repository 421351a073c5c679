"""Searches Debian packages by meaning, with an unmodified qdrant-client.

    python qdrant_client_example.py [http://127.0.0.1:6333]
"""

import sys

import numpy as np
from qdrant_client import QdrantClient, models

import packages
from packages import Package, Packages, show

COLLECTION = "example_packages"

# Looks at every point, since the checks compare with the truth. Without it, a search goes
# by the graph: approximate, and quicker.
EXACT = models.SearchParams(exact=True)


def load(client: QdrantClient, data: Packages) -> None:
    size = data.vectors.shape[1]
    client.create_collection(COLLECTION, models.VectorParams(size=size, distance=models.Distance.COSINE))
    # Indexes that are there before the points are filled with them.
    client.create_payload_index(COLLECTION, "section", models.PayloadSchemaType.KEYWORD)
    client.create_payload_index(COLLECTION, "installed_kb", models.PayloadSchemaType.INTEGER)
    client.create_payload_index(COLLECTION, "summary", models.TextIndexParams(type=models.TextIndexType.TEXT))
    ids = [payload["id"] for payload in data.payloads]
    client.upload_collection(COLLECTION, data.vectors, data.payloads, ids, wait=True)
    assert client.count(COLLECTION).count == len(ids)


def search(client: QdrantClient, data: Packages) -> None:
    text = "play music from the terminal"
    hits = client.query_points(COLLECTION, query=data.queries[text], limit=5, search_params=EXACT).points
    show(f"“{text}”", [(hit.score, hit.payload) for hit in hits])
    assert np.allclose([hit.score for hit in hits], data.best_scores(data.queries[text], 5), atol=1e-4)

    # By the graph, nearly all of what is truly nearest is found.
    queries = list(data.queries.values())[:100]
    requests = [models.QueryRequest(query=query.tolist(), limit=10) for query in queries]
    found = 0
    for query, answer in zip(queries, client.query_batch_points(COLLECTION, requests)):
        tenth = data.best_scores(query, 10)[-1]
        found += sum(hit.score > tenth - 1e-4 for hit in answer.points)
    print(f"\n{found / 10:.1f} % of the ten nearest were found, over {len(queries)} searches")
    assert found >= 950


def filtered(client: QdrantClient, data: Packages) -> None:
    text = "compress files very fast"
    small_tool = models.Filter(
        must=[
            models.FieldCondition(key="section", match=models.MatchValue(value="utils")),
            models.FieldCondition(key="installed_kb", range=models.Range(lt=1000)),
        ]
    )
    hits = client.query_points(
        COLLECTION, query=data.queries[text], query_filter=small_tool, limit=5, search_params=EXACT
    ).points
    show(f"“{text}”, in utils, below a megabyte", [(hit.score, hit.payload) for hit in hits])

    def wanted(package: Package) -> bool:
        return package["section"] == "utils" and package["installed_kb"] < 1000

    assert all(wanted(hit.payload) for hit in hits)
    best = data.best_scores(data.queries[text], 5, wanted)
    assert np.allclose([hit.score for hit in hits], best, atol=1e-4), "and these are the nearest of them"
    assert client.count(COLLECTION, count_filter=small_tool).count == sum(map(wanted, data.payloads))


def grouped(client: QdrantClient, data: Packages) -> None:
    text = "web server with reverse proxy"
    query = data.queries[text]
    groups = client.query_points_groups(
        COLLECTION, "section", query=query, limit=3, group_size=2, search_params=EXACT
    ).groups
    show(f"“{text}”, the best two of each section", [(hit.score, hit.payload) for g in groups for hit in g.hits])
    sections = {package["section"] for package in data.payloads}
    best = {name: data.best_scores(query, 2, lambda package: package["section"] == name) for name in sections}
    assert [group.id for group in groups] == sorted(sections, key=lambda name: -best[name][0])[:3]
    assert all(np.allclose([hit.score for hit in group.hits], best[group.id], atol=1e-4) for group in groups)


def words_and_meaning(client: QdrantClient, data: Packages) -> None:
    """Two searches fused: by meaning, and by meaning among those that have the word."""
    text, word = "monitor network traffic", "traffic"
    query = data.queries[text]
    has_word = models.Filter(must=[models.FieldCondition(key="summary", match=models.MatchText(text=word))])
    hits = client.query_points(
        COLLECTION,
        prefetch=[models.Prefetch(query=query, limit=20), models.Prefetch(query=query, filter=has_word, limit=20)],
        query=models.FusionQuery(fusion=models.Fusion.RRF),
        limit=5,
    ).points
    show(f"“{text}”, better with the word “{word}”", [(hit.score, hit.payload) for hit in hits])
    assert word in hits[0].payload["summary"].lower()


def recommended(client: QdrantClient, data: Packages) -> None:
    row = {payload["name"]: payload["id"] for payload in data.payloads}
    liked, disliked = row["gbemol"], row["gom"]
    wish = models.RecommendInput(positive=[liked], negative=[disliked])
    query = models.RecommendQuery(recommend=wish)
    hits = client.query_points(COLLECTION, query=query, limit=5, search_params=EXACT).points
    show("Like gbemol, unlike gom", [(hit.score, hit.payload) for hit in hits])
    # As far from what is disliked as that is from what is liked. The two themselves are not recommended.
    wished = 2 * data.vectors[liked] - data.vectors[disliked]
    others = np.delete(data.vectors, [liked, disliked], axis=0)
    best = np.sort(others @ wished / np.linalg.norm(wished))[::-1][:5]
    assert np.allclose([hit.score for hit in hits], best, atol=1e-4)


def listed(client: QdrantClient, data: Packages) -> None:
    print("\nThe largest sections:")
    for hit in client.facet(COLLECTION, key="section", limit=3).hits:
        print(f"  {hit.count:5}  {hit.value}")
        assert hit.count == sum(payload["section"] == hit.value for payload in data.payloads)

    seen, page = [], None
    while True:
        points, page = client.scroll(COLLECTION, limit=1000, offset=page, with_payload=False)
        seen += [point.id for point in points]
        if page is None:
            break
    assert seen == [payload["id"] for payload in data.payloads], "pages have every point once"


def main() -> None:
    client = QdrantClient(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:6333")
    data = packages.load(5000)
    client.delete_collection(COLLECTION)
    load(client, data)
    for part in (search, filtered, grouped, words_and_meaning, recommended, listed):
        part(client, data)
    client.delete_collection(COLLECTION)


if __name__ == "__main__":
    main()
