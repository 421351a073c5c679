"""Drives an unmodified qdrant-client, and langchain-qdrant where it is
installed, through every call that Quoit serves.

    python qdrant_dialect.py http://127.0.0.1:6333

Makes and deletes collections whose names start with `dialect_`. Ends with
code 0 if every answer was right, and with a traceback otherwise.
"""

import math
import random
import sys
import uuid
import warnings

import numpy as np
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

BASIC = "dialect_basic"
BULK = "dialect_bulk"
METRICS = "dialect_metrics"
CHAIN = "dialect_chain"


def refused(call, status, *parts):
    """The call must fail with this status and a text with these parts."""
    try:
        result = call()
    except UnexpectedResponse as error:
        text = error.content.decode()
        assert error.status_code == status, (error.status_code, text)
        for part in parts:
            assert part in text, (part, text)
    else:
        raise AssertionError(f"not refused: {result!r}")


def fresh(client, name, size, distance, **more):
    client.delete_collection(name)
    params = models.VectorParams(size=size, distance=distance)
    assert client.create_collection(name, vectors_config=params, **more) is True


def collections(client):
    fresh(client, BASIC, 4, models.Distance.COSINE)
    assert client.collection_exists(BASIC)
    assert not client.collection_exists("dialect_none")
    assert BASIC in [c.name for c in client.get_collections().collections]

    info = client.get_collection(BASIC)
    assert info.status == models.CollectionStatus.GREEN, info.status
    assert info.points_count == 0
    assert info.config.params.vectors.size == 4
    assert info.config.params.vectors.distance == models.Distance.COSINE

    same = models.VectorParams(size=4, distance=models.Distance.COSINE)
    other = models.VectorParams(size=5, distance=models.Distance.COSINE)
    refused(lambda: client.create_collection(BASIC, vectors_config=same), 409, "already exists")
    refused(lambda: client.create_collection(BASIC, vectors_config=other), 409, "already exists")
    refused(lambda: client.get_collection("dialect_none"), 404, "doesn't exist")
    assert client.delete_collection("dialect_none") is False


def points(client):
    identity = str(uuid.UUID(int=7))
    done = client.upsert(
        BASIC,
        points=[
            models.PointStruct(id=1, vector=[1, 0, 0, 0], payload={"city": "Bern", "n": {"a": 1}}),
            models.PointStruct(id=2, vector=[1, 1, 0, 0], payload={"city": "Zürich"}),
            models.PointStruct(id=3, vector={"": [0, 1, 0, 0]}),
            models.PointStruct(id=identity, vector=np.array([0, 0, 1, 0.5]), payload={}),
        ],
        wait=True,
    )
    assert done.status == models.UpdateStatus.COMPLETED
    done = client.upsert(
        BASIC,
        points=models.Batch(
            ids=[10, uuid.UUID(int=8).hex],
            vectors=[[0, 0, 0, 1], [0, 0, 1, 1]],
            payloads=[{"k": [1, 2, {"deep": None}]}, {}],
        ),
        wait=False,
    )
    assert done.status == models.UpdateStatus.ACKNOWLEDGED
    assert client.count(BASIC).count == 6
    assert client.count(BASIC, exact=False).count == 6
    assert client.get_collection(BASIC).points_count == 6

    got = client.retrieve(BASIC, ids=[2, 99, identity], with_vectors=True)
    assert [r.id for r in got] == [2, identity], got
    assert got[0].payload == {"city": "Zürich"}
    assert np.allclose(got[0].vector, [math.sqrt(0.5), math.sqrt(0.5), 0, 0], atol=1e-5)
    bare = client.retrieve(BASIC, ids=[1], with_payload=False)[0]
    assert bare.payload is None and bare.vector is None
    only = client.retrieve(BASIC, ids=[1], with_payload=["city"])[0]
    assert only.payload == {"city": "Bern"}
    rest = models.PayloadSelectorExclude(exclude=["city"])
    assert client.retrieve(BASIC, ids=[1], with_payload=rest)[0].payload == {"n": {"a": 1}}
    rest = models.PayloadSelectorExclude(exclude=["k[].deep"])
    assert client.retrieve(BASIC, ids=[10], with_payload=rest)[0].payload == {"k": [1, 2, {}]}
    assert client.retrieve(BASIC, ids=[1], with_payload=["n.a"])[0].payload == {"n": {"a": 1}}

    found, offset, pages = [], None, 0
    while True:
        page, offset = client.scroll(BASIC, limit=4, offset=offset)
        found += [r.id for r in page]
        pages += 1
        if offset is None:
            break
    assert pages == 2
    assert found == [1, 2, 3, 10, identity, str(uuid.UUID(int=8))], found

    one = client.http.points_api.get_point(BASIC, id=1).result
    assert one.payload["city"] == "Bern" and one.vector is not None
    refused(lambda: client.http.points_api.get_point(BASIC, id=99), 404, "99")


def searches(client):
    hits = client.query_points(BASIC, query=[1, 0.1, 0, 0], limit=2, with_payload=True).points
    assert [h.id for h in hits] == [1, 2]
    assert hits[0].score > hits[1].score > 0.7
    assert hits[0].payload["city"] == "Bern" and hits[0].vector is None
    assert isinstance(hits[0].version, int)

    by_id = client.query_points(BASIC, query=1, limit=1).points
    assert [h.id for h in by_id] == [2], "the point itself is left out"
    by_uuid = client.query_points(BASIC, query=str(uuid.UUID(int=7)), limit=1).points
    assert [h.id for h in by_uuid] == [str(uuid.UUID(int=8))]
    nearest = models.NearestQuery(nearest=[1, 0.1, 0, 0])
    skipped = client.query_points(BASIC, query=nearest, limit=1, offset=1, using="").points
    assert [h.id for h in skipped] == [2]
    cut = client.query_points(BASIC, query=[1, 0, 0, 0], score_threshold=0.9).points
    assert [h.id for h in cut] == [1]
    params = models.SearchParams(hnsw_ef=128, exact=True)
    exact = client.query_points(BASIC, query=[0, 1, 0, 0], limit=1, search_params=params).points
    assert [h.id for h in exact] == [3]
    vectors = client.query_points(BASIC, query=[0, 0, 0, 2], limit=1, with_vectors=True).points
    assert np.allclose(vectors[0].vector, [0, 0, 0, 1], atol=1e-5)
    assert [h.id for h in client.query_points(BASIC, limit=2).points] == [1, 2]
    numbers = client.query_points(BASIC, query=np.array([1.0, 0, 0, 0]), limit=1, timeout=5).points
    assert numbers[0].id == 1

    answers = client.query_batch_points(
        BASIC,
        requests=[
            models.QueryRequest(query=[1, 0, 0, 0], limit=1),
            models.QueryRequest(query=2, limit=1, with_payload=True),
        ],
    )
    assert [a.points[0].id for a in answers] == [1, 1]
    assert answers[1].points[0].payload["city"] == "Bern"


def combined(client):
    """Searches over what other searches found, diverse answers, and recommendations."""
    ids = lambda **query: [hit.id for hit in client.query_points(BASIC, **query).points]
    first = models.Prefetch(query=[1, 0.1, 0, 0], limit=2)
    assert ids(query=[0, 1, 0, 0], prefetch=first) == [2, 1]
    second = models.Prefetch(query=[0, 1, 0, 0], limit=2)
    both = client.query_points(
        BASIC, query=models.FusionQuery(fusion=models.Fusion.RRF), prefetch=[first, second], with_payload=["city"]
    ).points
    assert [h.id for h in both] == [2, 1, 3] or [h.id for h in both] == [1, 3, 2], both
    assert {h.id: h.payload for h in both} == {1: {"city": "Bern"}, 2: {"city": "Zürich"}, 3: {}}
    weighted = models.RrfQuery(rrf=models.Rrf(k=5, weights=[0.1, 3.0]))
    assert ids(query=weighted, prefetch=[first, second]) == [2, 3, 1]
    assert set(ids(query=models.FusionQuery(fusion=models.Fusion.DBSF), prefetch=[first, second])) == {1, 2, 3}
    nested = models.Prefetch(query=[0, 1, 0, 0], limit=1, prefetch=[first])
    assert ids(query=[1, 0, 0, 0], prefetch=[nested]) == [2]

    any_points = models.SampleQuery(sample=models.Sample.RANDOM)
    assert len(set(ids(query=any_points, limit=4))) == 4 and len(set(ids(query=any_points))) == 6
    mmr = models.NearestQuery(nearest=[1, 0.1, 0, 0], mmr=models.Mmr(diversity=0.9, candidates_limit=6))
    assert ids(query=mmr, limit=2)[0] == 1 and ids(query=mmr, limit=2)[1] != 2, ids(query=mmr, limit=2)
    recommend = lambda **wish: models.RecommendQuery(recommend=models.RecommendInput(**wish))
    assert ids(query=recommend(positive=[1]), limit=1) == [2], "the example itself is left out"
    assert ids(query=recommend(positive=[2, [0, 1, 0, 0]], negative=[1]), limit=1) == [3]
    best = models.RecommendStrategy.BEST_SCORE
    assert ids(query=recommend(positive=[2, [0, 1, 0, 0]], negative=[1], strategy=best), limit=1) == [3]
    pair = models.ContextPair(positive=[0, 1, 0, 0], negative=[1, 0, 0, 0])
    discover = models.DiscoverInput(target=[1, 0, 0, 0], context=[pair])
    assert ids(query=models.DiscoverQuery(discover=discover), limit=1) == [3]
    assert ids(query=models.ContextQuery(context=[pair]), limit=1) == [3]


def groups(client):
    found = client.query_points_groups(BASIC, query=[1, 0.2, 0, 0], group_by="city", with_payload=["city"]).groups
    shown = [(group.id, [(hit.id, hit.payload) for hit in group.hits]) for group in found]
    assert shown == [("Bern", [(1, {"city": "Bern"})]), ("Zürich", [(2, {"city": "Zürich"})])], shown
    found = client.query_points_groups(BASIC, group_by="k", limit=1, group_size=1).groups
    assert found == [], "a list with an object in it groups nothing"
    refused(
        lambda: client.query_points_groups(BASIC, query=[1, 0, 0, 0], group_by="city", with_lookup="other"),
        404,
        "other",
    )


def refusals(client):
    query = lambda **more: lambda: client.query_points(BASIC, query=[1, 0, 0, 0], **more)
    refused(lambda: client.query_points(BASIC, query=[1, 0]), 400, "expected dim: 4, got 2")
    refused(lambda: client.query_points(BASIC, query=12345), 404, "12345")
    refused(query(limit=0), 422, "limit")
    refused(query(using="title"), 400, "using", "Not existing vector name error: title")
    refused(lambda: client.query_points(BASIC, query=models.FusionQuery(fusion="rrf")), 400, "query", "`prefetch`")
    refused(
        lambda: client.upsert(BASIC, points=[models.PointStruct(id=1, vector=[1, 2])]),
        400,
        "points[0].vector",
        "expected dim: 4, got 2",
    )
    refused(lambda: client.upsert(BASIC, points=[]), 400, "points")
    refused(
        lambda: client.upsert("dialect_none", points=[models.PointStruct(id=1, vector=[1])]),
        404,
        "dialect_none",
    )
    assert client.count(BASIC).count == 6, "nothing of that changed anything"


def edits(client):
    """Payloads and vectors of points that are there; the collection is as it was afterwards."""
    extra = lambda id: {k: v for k, v in client.retrieve(BASIC, ids=[id])[0].payload.items() if k.startswith("x")}
    before = client.retrieve(BASIC, ids=[1, 2], with_vectors=True)
    done = client.set_payload(BASIC, payload={"x": {"a": 1}}, points=[1, 2], wait=True)
    assert done.status == models.UpdateStatus.COMPLETED
    client.set_payload(BASIC, payload={"b": 2}, points=[1], key="x")
    assert extra(1) == {"x": {"a": 1, "b": 2}} and extra(2) == {"x": {"a": 1}}
    has_x = models.Filter(must=[models.FieldCondition(key="x.a", match=models.MatchValue(value=1))])
    client.set_payload(BASIC, payload={"x2": True}, points=has_x)
    assert extra(1).keys() == extra(2).keys() == {"x", "x2"} and extra(str(uuid.UUID(int=7))) == {}
    client.delete_payload(BASIC, keys=["x.b", "x2"], points=[1, 2])
    assert extra(1) == extra(2) == {"x": {"a": 1}}
    client.overwrite_payload(BASIC, payload={"x": 3}, points=[1])
    assert client.retrieve(BASIC, ids=[1])[0].payload == {"x": 3}
    client.clear_payload(BASIC, points_selector=models.FilterSelector(filter=has_x))
    assert client.retrieve(BASIC, ids=[2])[0].payload == {}
    client.update_vectors(BASIC, points=[models.PointVectors(id=1, vector=[0, 0, 0, 3])])
    one = client.retrieve(BASIC, ids=[1], with_vectors=True)[0]
    assert one.payload == {"x": 3} and np.allclose(one.vector, [0, 0, 0, 1])
    refused(lambda: client.set_payload(BASIC, payload={"x": 1}, points=[1, 12345]), 404, "12345")

    never = models.Filter(must=[models.HasIdCondition(has_id=[])])
    point = lambda n, id: models.PointStruct(id=id, vector=[1, 1, 1, 1], payload={"x": n})
    client.upsert(BASIC, points=[point(4, 1), point(4, 12345)], update_filter=never)
    assert extra(1) == {"x": 1} and extra(12345) == {"x": 4}, "put in, and not put in the place of another"
    restored = [models.PointStruct(id=p.id, vector=p.vector, payload=p.payload) for p in before]
    answers = client.batch_update_points(
        BASIC,
        update_operations=[
            models.DeleteOperation(delete=models.PointIdsList(points=[12345, 1])),
            models.UpsertOperation(upsert=models.PointsList(points=restored)),
            models.SetPayloadOperation(set_payload=models.SetPayload(payload={"x": 1}, points=[1])),
            models.DeletePayloadOperation(delete_payload=models.DeletePayload(keys=["x"], filter=models.Filter())),
        ],
    )
    assert [a.status for a in answers] == [models.UpdateStatus.COMPLETED] * 4
    after = client.retrieve(BASIC, ids=[1, 2, 12345], with_vectors=True)
    assert [(p.id, p.payload) for p in after] == [(p.id, p.payload) for p in before]


def indexes(client):
    for field, schema in [
        ("city", models.PayloadSchemaType.KEYWORD),
        ("size", "integer"),
        ("when", models.DatetimeIndexParams(type="datetime", is_principal=True)),
        ("about", models.TextIndexParams(type="text", tokenizer=models.TokenizerType.WORD, lowercase=True)),
    ]:
        done = client.create_payload_index(BASIC, field_name=field, field_schema=schema, wait=True)
        assert done.status == models.UpdateStatus.COMPLETED
    client.delete_payload_index(BASIC, field_name="about")
    schema = client.get_collection(BASIC).payload_schema
    if schema:  # Shards in memory have none.
        assert {f: s.data_type.value for f, s in schema.items()} == {
            "city": "keyword",
            "size": "integer",
            "when": "datetime",
        }
        hits = client.facet(BASIC, key="city").hits
        assert ("Bern", 1) in [(h.value, h.count) for h in hits]
        refused(lambda: client.facet(BASIC, key="nothing"), 400, "nothing", "no index")
    bern = models.Filter(must=[models.FieldCondition(key="city", match=models.MatchValue(value="Bern"))])
    assert client.count(BASIC, count_filter=bern).count == 1


def deletes(client):
    done = client.delete(BASIC, points_selector=[1, 99, str(uuid.UUID(int=7))])
    assert done.status == models.UpdateStatus.COMPLETED
    assert client.count(BASIC).count == 4
    assert client.retrieve(BASIC, ids=[1]) == []
    client.delete(BASIC, points_selector=models.PointIdsList(points=[2]))
    assert [h.id for h in client.query_points(BASIC, query=[1, 1, 0, 0], limit=1).points] == [3]
    client.delete(BASIC, points_selector=models.Filter(must_not=[models.HasIdCondition(has_id=[3])]))
    assert [p.id for p in client.scroll(BASIC)[0]] == [3]
    assert client.delete_collection(BASIC) is True
    assert not client.collection_exists(BASIC)


def bulk(client):
    """Uploads as its users do, and compares with numpy."""
    fresh(client, BULK, 16, models.Distance.DOT)
    generator = np.random.default_rng(1)
    vectors = generator.normal(size=(500, 16)).astype(np.float32)
    client.upload_collection(
        BULK,
        vectors=vectors,
        payload=({"i": i} for i in range(500)),
        ids=range(500),
        batch_size=50,
        wait=True,
    )
    assert client.count(BULK).count == 500
    client.upload_points(
        BULK,
        points=(models.PointStruct(id=i, vector=vectors[i].tolist(), payload={"i": i}) for i in range(0, 500, 50)),
        batch_size=5,
        wait=True,
    )
    assert client.count(BULK).count == 500, "the same points again"
    params = models.SearchParams(exact=True)
    for _ in range(10):
        query = generator.normal(size=16).astype(np.float32)
        hits = client.query_points(BULK, query=query, limit=10, search_params=params, with_payload=True).points
        scores = vectors @ query
        want = np.argsort(-scores)[:10]
        assert [h.id for h in hits] == want.tolist()
        assert np.allclose([h.score for h in hits], scores[want], atol=1e-3)
        assert all(h.payload == {"i": h.id} for h in hits)
    client.delete_collection(BULK)


def metrics(client):
    """Scores and their order, by metric."""
    cases = {
        models.Distance.COSINE: (1.0, [1, 2, 3]),
        models.Distance.DOT: (9.0, [3, 2, 1]),
        models.Distance.EUCLID: (0.0, [3, 2, 1]),
        models.Distance.MANHATTAN: (0.0, [3, 2, 1]),
    }
    for distance, (best, order) in cases.items():
        fresh(client, METRICS, 2, distance)
        client.upsert(METRICS, points=models.Batch(ids=[1, 2, 3], vectors=[[1, 0], [2, 0], [3, 0]]))
        hits = client.query_points(METRICS, query=[3, 0], limit=3).points
        assert math.isclose(hits[0].score, best, abs_tol=1e-4), (distance, hits)
        if distance != models.Distance.COSINE:
            assert [h.id for h in hits] == order, (distance, hits)
    client.delete_collection(METRICS)


def chain(url):
    """The basics of LangChain's vector store."""
    from langchain_core.embeddings import Embeddings
    from langchain_qdrant import QdrantVectorStore

    class Letters(Embeddings):
        """Counts letters: texts of the same letters are near."""

        def embed_documents(self, texts):
            return [self.embed_query(text) for text in texts]

        def embed_query(self, text):
            return [float(text.lower().count(letter)) + 0.01 for letter in "abcdefghijklmnopqrstuvwxyz"]

    client = QdrantClient(url=url)
    client.delete_collection(CHAIN)
    texts = ["a banana", "an apple", "the moon"]
    store = QdrantVectorStore.from_texts(
        texts,
        Letters(),
        metadatas=[{"n": n} for n in range(3)],
        url=url,
        collection_name=CHAIN,
    )
    found = store.similarity_search("bananas", k=1)
    assert found[0].page_content == "a banana" and found[0].metadata["n"] == 0, found
    ids = store.add_texts(["zzz"], ids=[uuid.uuid4().hex])
    scored = store.similarity_search_with_score("zz", k=1)
    assert scored[0][0].page_content == "zzz" and scored[0][1] > 0.9, scored
    assert [d.page_content for d in store.get_by_ids(ids)] == ["zzz"]
    apple = models.Filter(must=[models.FieldCondition(key="metadata.n", match=models.MatchValue(value=1))])
    assert [d.page_content for d in store.similarity_search("a", k=4, filter=apple)] == ["an apple"]
    diverse = store.max_marginal_relevance_search("banana", k=2, fetch_k=3)
    assert diverse[0].page_content == "a banana" and len(diverse) == 2, diverse
    assert store.delete(ids)
    assert store.similarity_search("zz", k=4) and store.get_by_ids(ids) == []
    client.delete_collection(CHAIN)


def index(url):
    """The basics of LlamaIndex's vector store, with vectors of our own."""
    from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
    from llama_index.core.vector_stores import MetadataFilter, MetadataFilters, VectorStoreQuery
    from llama_index.vector_stores.qdrant import QdrantVectorStore

    client = QdrantClient(url=url)
    client.delete_collection(CHAIN)
    store = QdrantVectorStore(collection_name=CHAIN, client=client)

    def node(n, vector, document):
        source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=document)}
        text = TextNode(id_=str(uuid.UUID(int=n)), text=f"text {n}", metadata={"n": n}, relationships=source)
        text.embedding = vector
        return text

    nodes = [node(1, [1.0, 0.0, 0.0], "a"), node(2, [0.0, 1.0, 0.0], "b"), node(3, [0.9, 0.1, 0.0], "b")]
    assert store.add(nodes) == [n.node_id for n in nodes]
    best = store.query(VectorStoreQuery(query_embedding=[1.0, 0.1, 0.0], similarity_top_k=2))
    assert {n.get_content() for n in best.nodes} == {"text 1", "text 3"}, best
    filters = MetadataFilters(filters=[MetadataFilter(key="n", value=2)])
    query = VectorStoreQuery(query_embedding=[1.0, 0.0, 0.0], similarity_top_k=2, filters=filters)
    assert [n.get_content() for n in store.query(query).nodes] == ["text 2"]
    store.delete("b")
    left = store.query(VectorStoreQuery(query_embedding=[0.0, 1.0, 0.0], similarity_top_k=9))
    assert [n.get_content() for n in left.nodes] == ["text 1"], left
    client.delete_collection(CHAIN)


def main():
    url = sys.argv[1]
    random.seed(1)
    with warnings.catch_warnings():
        # A server of a version that the client does not know is a warning.
        warnings.simplefilter("error", UserWarning)
        client = QdrantClient(url=url, timeout=30)
    for part in (collections, points, searches, combined, groups, refusals, edits, indexes, deletes, bulk, metrics):
        part(client)
        print(f"{part.__name__}: ok")
    chain(url)
    print("chain: ok")
    index(url)
    print("index: ok")


if __name__ == "__main__":
    main()
