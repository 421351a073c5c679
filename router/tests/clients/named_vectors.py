"""Points with several vectors: random changes of them and searches by each,
against a server and qdrant-client's own local mode, which must stay alike.

    python named_vectors.py http://127.0.0.1:6333 [rounds] [seed]

Makes and deletes the collection `dialect_several`. Ends with code 0 if every
answer agreed, and otherwise with the seed and the difference.
"""

import random
import sys
import warnings

import numpy as np
from qdrant_client import QdrantClient, models

NAME = "dialect_several"
POINTS = 40
VECTORS = {
    "title": models.VectorParams(size=3, distance=models.Distance.COSINE),
    "body": models.VectorParams(size=5, distance=models.Distance.EUCLID),
    "face": models.VectorParams(size=2, distance=models.Distance.DOT),
}


def vector(name):
    return [random.gauss(0, 1) for _ in range(VECTORS[name].size)]


def some(least=0):
    names = random.sample(sorted(VECTORS), random.randrange(least, len(VECTORS) + 1))
    return {name: vector(name) for name in names}


def everything(client):
    found, after = client.scroll(NAME, limit=2 * POINTS, with_vectors=True, with_payload=True)
    assert after is None
    vectors = lambda point: {name: np.float32(v).tolist() for name, v in (point.vector or {}).items()}
    return {point.id: (point.payload or {}, vectors(point)) for point in found}


def change(present):
    """A change that can be made of both."""
    # What is not there, both would refuse in their own words.
    ids = random.sample(sorted(present), min(len(present), random.randrange(1, 5)))
    new = [
        models.PointStruct(id=n, vector=some(), payload={"n": n % 5}) for n in random.sample(range(POINTS), 4)
    ]
    names = random.sample(sorted(VECTORS), random.randrange(1, 3))
    sets = [some(least=1) for _ in ids]
    return random.choice(
        [
            lambda client: client.upsert(NAME, points=new),
            lambda client: client.update_vectors(
                NAME, points=[models.PointVectors(id=n, vector=vectors) for n, vectors in zip(ids, sets)]
            ),
            lambda client: client.delete_vectors(NAME, vectors=names, points=ids),
            lambda client: client.delete_vectors(
                NAME,
                vectors=names,
                points=models.Filter(must=[models.FieldCondition(key="n", match=models.MatchValue(value=2))]),
            ),
            lambda client: client.set_payload(NAME, payload={"n": 2}, points=ids),
            lambda client: client.delete(NAME, points_selector=ids[:1]),
        ]
    )


def hits(client, **query):
    points = client.query_points(NAME, limit=POINTS, with_payload=False, **query).points
    return [(point.id, point.score) for point in points]


def same(theirs, ours):
    """Equal, but for the last digits, and for the order of points as near."""
    near = lambda one, other: abs(one - other) < 1e-3 * (1 + abs(one))
    scores = dict(ours)
    in_order = all(near(a, b) for (_, a), (_, b) in zip(theirs, ours))
    return scores.keys() == dict(theirs).keys() and in_order and all(near(s, scores[n]) for n, s in theirs)


def searches(server, local, present, shown):
    for name in VECTORS:
        query = vector(name)
        wishes = [{"query": query, "using": name}]
        having = [n for n, (_, vectors) in present.items() if name in vectors]
        if having:
            wishes.append({"query": random.choice(having), "using": name})
        wishes.append({"query": query, "using": name, "query_filter": models.Filter(
            must=[models.FieldCondition(key="n", match=models.MatchAny(any=[1, 2, 3]))])})
        other = models.HasVectorCondition(has_vector=random.choice(sorted(VECTORS)))
        clause = random.choice(["must", "must_not"])
        wishes.append({"query": query, "using": name, "query_filter": models.Filter(**{clause: [other]})})
        for wish in wishes:
            theirs, ours = hits(local, **wish), hits(server, **wish)
            assert same(theirs, ours), f"{shown}: {wish}\n  {ours}\n not {theirs}"
    names = random.sample(sorted(VECTORS), 2)
    ids = sorted(present)[:10]
    read = lambda client: {
        point.id: sorted(point.vector or {}) for point in client.retrieve(NAME, ids=ids, with_vectors=names)
    }
    assert read(server) == read(local), shown


def main():
    url, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1_000_000)
    random.seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server, local = QdrantClient(url=url, timeout=30), QdrantClient(":memory:")
    first = [models.PointStruct(id=n, vector=some(), payload={"n": n % 5}) for n in range(POINTS // 2)]
    for client in (server, local):
        client.delete_collection(NAME)
        client.create_collection(NAME, vectors_config=VECTORS)
        client.upsert(NAME, points=first)
    described = server.get_collection(NAME).config.params.vectors
    assert {name: (p.size, p.distance) for name, p in described.items()} == {
        name: (p.size, p.distance) for name, p in VECTORS.items()
    }
    for n in range(rounds):
        present = everything(local)
        one = change(present)
        for client in (local, server):
            one(client)
        shown = f"seed {seed}, change {n}"
        theirs, ours = everything(local), everything(server)
        for point in theirs.keys() | ours.keys():
            payload_theirs, vectors_theirs = theirs.get(point, ({}, None))
            payload_ours, vectors_ours = ours.get(point, ({}, None))
            assert payload_theirs == payload_ours, (shown, point, payload_ours, payload_theirs)
            assert (vectors_theirs is None) == (vectors_ours is None), (shown, point)
            if vectors_theirs is not None:
                assert vectors_theirs.keys() == vectors_ours.keys(), (shown, point, vectors_ours, vectors_theirs)
                for name in vectors_theirs:
                    near = np.allclose(vectors_theirs[name], vectors_ours[name], atol=1e-5)
                    assert near, (shown, point, name, vectors_ours, vectors_theirs)
        searches(server, local, theirs, shown)
    print(f"{rounds} changes of points with several vectors: all agree")
    server.delete_collection(NAME)


if __name__ == "__main__":
    main()
