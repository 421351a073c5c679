"""Random filters over random payloads, random queries of every kind, and random
changes of points: a server must find the points that qdrant-client's own local
mode finds.

    python congruence.py http://127.0.0.1:6333 [rounds] [seed]

Makes and deletes the collections `dialect_filters` and `dialect_examples`. Ends with code 0 if every
answer agreed, and otherwise with the seed, the filter and the difference.
"""

import random
import sys
import warnings

import numpy as np
from qdrant_client import QdrantClient, models

NAME = "dialect_filters"
OTHER = "dialect_examples"
POINTS = 300
SIZE = 4
WORDS = ["red", "green", "dark blue", "light Blue", "", "größer", "a-b_c", "The red car"]
KEYS = ["word", "n", "x", "yes", "when", "place", "tags", "parts", "deep", "two words"]
DATES = [
    "2024-06-15",
    "2024-06-15T12:00:00Z",
    "2024-06-15 12:00:00.5",
    "2024-06-15T14:00:00+02:00",
    "2024-06-14T23:59:59-01:30",
    "2023-02-28T00:00",
    "not a date",
    "2024-06-15T12",
]
PATHS = [
    "word", "n", "x", "yes", "when", "place", "tags", "tags[]", "tags[1]", "parts", "parts[]", "parts[].name",
    "parts[].size", "parts.name", "parts[0].name", "parts[].tags", "parts[].tags[]", "deep.word", "deep.n", "deep",
    '"two words"', "missing", "deep.missing", "parts[].missing", "n.word", "place.lat",
]

INDEXES = {
    "word": "keyword", "n": "integer", "x": "float", "yes": "bool", "when": "datetime", "place": "geo", "tags[]": "keyword",
    "parts[].name": "text", "parts[].size": "integer", "deep.word": "text", "deep.n": "float", '"two words"': "keyword",
    "missing": "uuid", "parts[].tags": "keyword",
}


def scalar():
    return random.choice(
        [
            lambda: random.choice(WORDS),
            lambda: random.randrange(5),
            lambda: random.choice([0.5, 1.0, 2.0, -3.25]),
            lambda: random.random() < 0.5,
            lambda: None,
            lambda: random.choice(DATES),
            place,
        ]
    )()


def place():
    return {"lat": random.uniform(-80, 80), "lon": random.uniform(-179, 179)}


def value(depth=0):
    kind = random.randrange(8)
    if kind < 5 or depth > 1:
        return scalar()
    if kind == 5:
        return [value(depth + 1) for _ in range(random.randrange(4))]
    if kind == 6:
        return [random.choice(WORDS) for _ in range(random.randrange(3))]
    return {key: value(depth + 1) for key in random.sample(["word", "n", "name", "size"], 2)}


def part():
    made = {"name": random.choice(WORDS), "size": random.randrange(4)}
    if random.random() < 0.5:
        made["tags"] = random.sample(WORDS, random.randrange(3))
    return made


def payload():
    usual = {
        "word": lambda: random.choice(WORDS),
        "n": lambda: random.randrange(5),
        "x": lambda: random.uniform(-2, 2),
        "yes": lambda: random.random() < 0.5,
        "when": lambda: random.choice(DATES),
        "place": place,
        "tags": lambda: random.sample(WORDS, random.randrange(4)),
        "parts": lambda: [part() for _ in range(random.randrange(4))],
        "deep": lambda: {"word": random.choice(WORDS), "n": random.randrange(5)},
        "two words": lambda: random.choice(WORDS),
    }
    keys = random.sample(KEYS, random.randrange(len(KEYS) + 1))
    return ordered() | {key: usual[key]() if random.random() < 0.8 else value() for key in keys}


def ordered():
    """Fields to order by, whose values are of one type."""
    one = {
        "rank": lambda: random.randrange(-3, 20),
        "price": lambda: random.choice([0.25, 0.5, -1.75, 3.0, 8.125]),
        "seen": lambda: f"2024-0{random.randrange(1, 9)}-1{random.randrange(9)}T00:00:00.00{random.randrange(9)}Z",
    }
    several = lambda make: [make() for _ in range(random.randrange(4))]
    return {
        key: several(make) if random.random() < 0.3 else make()
        for key, make in one.items()
        if random.random() < 0.8
    }


def bounds(one):
    return {name: one() for name in ("lt", "lte", "gt", "gte") if random.random() < 0.35}


def match():
    return random.choice(
        [
            lambda: models.MatchValue(value=random.choice(WORDS)),
            lambda: models.MatchValue(value=random.randrange(5)),
            lambda: models.MatchValue(value=random.random() < 0.5),
            lambda: models.MatchAny(any=random.sample(WORDS, random.randrange(4))),
            lambda: models.MatchAny(any=random.sample(range(5), random.randrange(1, 4))),
            lambda: models.MatchExcept(**{"except": random.sample(WORDS, random.randrange(4))}),
            lambda: models.MatchExcept(**{"except": random.sample(range(5), random.randrange(1, 4))}),
            lambda: models.MatchText(text=random.choice(WORDS)),
            lambda: models.MatchTextAny(text_any=random.choice(WORDS)),
            lambda: models.MatchPhrase(phrase=random.choice(WORDS)),
        ]
    )()


def test():
    """What a condition asks of a field."""
    return random.choice(
        [
            lambda: {"match": match()},
            lambda: {"match": match()},
            lambda: {"range": models.Range(**bounds(lambda: random.choice([-1.0, 0.5, 1, 2, 3])))},
            lambda: {"range": models.DatetimeRange(**({"gte": random.choice(DATES[:6])} | bounds(lambda: random.choice(DATES[:6]))))},
            lambda: {"values_count": models.ValuesCount(**({"gte": 1} if random.random() < 0.5 else bounds(lambda: random.randrange(4))))},
            lambda: {"is_empty": random.random() < 0.5},
            lambda: {"is_null": random.random() < 0.5},
            lambda: {"geo_radius": models.GeoRadius(center=models.GeoPoint(**place()), radius=random.uniform(0, 1.5e7))},
            lambda: {"geo_bounding_box": box()},
            lambda: {"geo_polygon": polygon()},
        ]
    )()


def box():
    a, b = place(), place()
    return models.GeoBoundingBox(
        top_left=models.GeoPoint(lat=max(a["lat"], b["lat"]), lon=a["lon"]),
        bottom_right=models.GeoPoint(lat=min(a["lat"], b["lat"]), lon=b["lon"]),
    )


def polygon():
    ring = [models.GeoPoint(**place()) for _ in range(random.randrange(3, 6))]
    return models.GeoPolygon(exterior=models.GeoLineString(points=ring + ring[:1]))


def condition(depth):
    kind = random.randrange(12)
    if kind == 0 and depth:
        return filter_of(depth - 1)
    if kind == 1 and depth:
        nested = models.Nested(key=random.choice(["parts", "parts[]", "tags", "deep"]), filter=inner(depth - 1))
        return models.NestedCondition(nested=nested)
    if kind == 2:
        return models.HasIdCondition(has_id=random.sample(range(POINTS), 30))
    if kind == 3:
        return models.IsEmptyCondition(is_empty=models.PayloadField(key=random.choice(PATHS)))
    if kind == 4:
        return models.IsNullCondition(is_null=models.PayloadField(key=random.choice(PATHS)))
    return models.FieldCondition(key=random.choice(PATHS), **test())


def inner(depth):
    """A filter on the objects of `parts`."""
    conditions = [
        models.FieldCondition(key=random.choice(["name", "size", "tags", "missing"]), **test())
        for _ in range(random.randrange(1, 3))
    ]
    return models.Filter(**{random.choice(["must", "should", "must_not"]): conditions})


def filter_of(depth):
    clauses = {}
    for clause in ("must", "should", "must_not"):
        if random.random() < 0.45:
            some = [condition(depth) for _ in range(random.randrange(3))]
            clauses[clause] = some[0] if len(some) == 1 and random.random() < 0.3 else some
    if random.random() < 0.15:
        some = [condition(depth) for _ in range(random.randrange(1, 4))]
        clauses["min_should"] = models.MinShould(conditions=some, min_count=random.randrange(1, 3))
    return models.Filter(**clauses)


def scroll(client, wish):
    found, after = client.scroll(NAME, scroll_filter=wish, limit=POINTS, with_payload=False)
    assert after is None
    return [point.id for point in found]


def everything(client):
    found, after = client.scroll(NAME, limit=POINTS, with_payload=True, with_vectors=True)
    assert after is None
    # Rounded in decimals, two forms of the same number may come out as different ones.
    return {point.id: (point.payload or {}, np.float32(point.vector).tolist()) for point in found}


def change(present):
    """A change as one of a batch; and the same by the call that makes it."""
    ids = random.sample(sorted(present), min(len(present), random.randrange(1, 6)))
    narrow = models.Filter(must=[filter_of(1), models.HasIdCondition(has_id=random.sample(range(POINTS), 60))])
    chosen = narrow if random.random() < 0.4 else ids
    selector = models.FilterSelector(filter=narrow) if chosen is narrow else models.PointIdsList(points=ids)
    named = {"filter": narrow} if chosen is narrow else {"points": ids}
    keys = random.sample([path for path in PATHS if "[" not in path], 2)
    key = random.choice([None, None, "deep", "deep.word", "place", "tags", "new.path"])
    values = payload()
    points = [
        models.PointStruct(id=n, vector=[random.gauss(0, 1) for _ in range(4)], payload=payload())
        for n in random.sample(range(POINTS), 3)
    ]
    vectors = [models.PointVectors(id=n, vector=[random.gauss(0, 1) for _ in range(4)]) for n in ids]
    mode, only = random.choice(list(models.UpdateMode)), random.choice([None, filter_of(0)])
    set_values = models.SetPayload(payload=values, **named)
    return random.choice(
        [
            lambda: (
                models.UpsertOperation(upsert=models.PointsList(points=points)),
                lambda client: client.upsert(NAME, points=points),
            ),
            lambda: (
                models.UpsertOperation(upsert=models.PointsList(points=points, update_filter=only, update_mode=mode)),
                lambda client: client.upsert(NAME, points=points, update_filter=only, update_mode=mode),
            ),
            lambda: (
                models.SetPayloadOperation(set_payload=models.SetPayload(payload=values, key=key, **named)),
                lambda client: client.set_payload(NAME, payload=values, points=chosen, key=key),
            ),
            lambda: (
                models.OverwritePayloadOperation(overwrite_payload=set_values),
                lambda client: client.overwrite_payload(NAME, payload=values, points=chosen),
            ),
            lambda: (
                models.DeletePayloadOperation(delete_payload=models.DeletePayload(keys=keys, **named)),
                lambda client: client.delete_payload(NAME, keys=keys, points=chosen),
            ),
            lambda: (
                models.ClearPayloadOperation(clear_payload=selector),
                lambda client: client.clear_payload(NAME, points_selector=selector),
            ),
            lambda: (
                models.UpdateVectorsOperation(update_vectors=models.UpdateVectors(points=vectors)),
                lambda client: client.update_vectors(NAME, points=vectors),
            ),
            lambda: (
                models.DeleteOperation(delete=selector),
                lambda client: client.delete(NAME, points_selector=selector),
            ),
        ]
    )()


def selectors(server, local, rounds, seed):
    """Every selector answers the same parts of payloads."""
    told = 0
    for n in range(rounds):
        paths = random.sample(PATHS + ["parts[].tags[].x", "deep.word.x"], random.randrange(1, 4))
        wish = random.choice([paths, models.PayloadSelectorExclude(exclude=paths)])
        theirs, ours = (
            {point.id: point.payload for point in client.scroll(NAME, limit=POINTS, with_payload=wish)[0]}
            for client in (local, server)
        )
        for point in theirs:
            assert ours[point] == theirs[point], (
                f"seed {seed}, selector {n}: {wish}\n of point {point}\n  is {ours[point]}\n not {theirs[point]}"
            )
        told += any(theirs.values())
    assert told > rounds // 2
    print(f"{rounds} selectors: all agree")


def changes(server, local, rounds, seed):
    """Every change leaves both with the same points."""
    for n in range(rounds):
        present = everything(local)
        one, call = change(present)
        shown = f"seed {seed}, change {n}: {one.model_dump_json(exclude_none=True)}"
        if random.random() < 0.7:
            for client in (local, server):
                call(client)
        else:
            # No point may be missing for the second: it is one that puts points in.
            points = [models.PointStruct(id=random.randrange(POINTS), vector=[1, 2, 3, 4], payload=payload())]
            both = [one, models.UpsertOperation(upsert=models.PointsList(points=points))]
            for client in (local, server):
                client.batch_update_points(NAME, update_operations=both)
        theirs, ours = everything(local), everything(server)
        for point in theirs.keys() | ours.keys():
            was, is_theirs, is_ours = present.get(point), theirs.get(point), ours.get(point)
            assert is_theirs == is_ours, f"{shown}\npoint {point} was {was}\n  is {is_ours}\n not {is_theirs}"
    print(f"{rounds} changes: all agree")


def narrow():
    """A filter that leaves something, or none."""
    if random.random() < 0.5:
        return None
    one = lambda: models.FieldCondition(key=random.choice(["n", "word", "deep.n"]), match=match())
    clause = random.choice(["must", "should", "should", "must_not"])
    return models.Filter(**{clause: [one() for _ in range(random.randrange(1, 3))]})


def vector():
    return [random.gauss(0, 1) for _ in range(SIZE)]


def start():
    return random.randrange(POINTS) if random.random() < 0.4 else vector()


def ranking():
    """A query that ranks all points."""
    kind = random.randrange(8)
    if kind < 2:
        return models.NearestQuery(nearest=start())
    if kind == 5:
        strategy = random.choice(["best_score", "sum_scores"])
        positive, negative = ([start() for _ in range(random.randrange(4))] for _ in range(2))
        if not positive and not negative:
            positive = [start()]
        wish = models.RecommendInput(positive=positive, negative=negative, strategy=strategy)
        return models.RecommendQuery(recommend=wish)
    if kind == 6:
        return models.DiscoverQuery(discover=models.DiscoverInput(target=start(), context=context(0)))
    if kind == 2:
        # An offset goes together with what is chosen from: here there is always enough.
        mmr = models.Mmr(diversity=random.random(), candidates_limit=random.randrange(30, 60))
        return models.NearestQuery(nearest=start(), mmr=mmr)
    some = lambda least: [start() for _ in range(random.randrange(least, 4))]
    wish = models.RecommendInput(positive=some(1), negative=some(0), strategy=random.choice([None, "average_vector"]))
    return models.RecommendQuery(recommend=wish)


def context(least):
    pair = lambda: models.ContextPair(positive=start(), negative=start())
    return [pair() for _ in range(random.randrange(least, 4))]


def fusion(lists):
    weights = [random.choice([0.5, 1.0, 3.0]) for _ in range(lists)] if random.random() < 0.5 else None
    return random.choice(
        [
            models.FusionQuery(fusion=models.Fusion.RRF),
            models.FusionQuery(fusion=models.Fusion.DBSF),
            models.RrfQuery(rrf=models.Rrf(k=random.choice([None, 1, 60]), weights=weights)),
        ]
    )


def combination(depth):
    """A query, and the prefetches that it is of."""
    if depth == 0 or random.random() < 0.3:
        return ranking(), None
    inner = []
    for _ in range(random.randrange(1, 4)):
        query, prefetch = combination(depth - 1)
        limit = random.choice([None, 5, 40])
        inner.append(models.Prefetch(query=query, prefetch=prefetch, filter=narrow(), limit=limit))
    return random.choice([ranking, lambda: fusion(len(inner))])(), inner


def same(ours, theirs):
    """The same points in the same order, but where scores are as good as equal."""
    if len(ours) != len(theirs):
        return False
    close = lambda a, b: abs(a - b) <= 1e-4 * max(1, abs(a), abs(b))
    scores = {hit.id: hit.score for hit in theirs}
    return all(
        close(a.score, b.score) and (a.id == b.id or close(scores.get(a.id, b.score), b.score))
        for a, b in zip(ours, theirs)
    )


def queries(server, local, rounds, seed, metric):
    """Every combination of queries finds the same."""
    told = 0
    for n in range(rounds):
        query, prefetch = combination(2)
        if random.random() < 0.1:
            # Many points have the best score of all: of a prefetch any of them would do.
            query, prefetch = models.ContextQuery(context=context(1)), None
        more = {"query_filter": narrow(), "limit": random.randrange(1, 30), "offset": random.choice([None, 3])}
        request = models.QueryRequest(query=query, prefetch=prefetch, filter=more["query_filter"])
        shown = f"seed {seed}, {metric} query {n}: {request.model_dump_json(exclude_none=True)} {more['limit']}"
        theirs, ours = (
            client.query_points(NAME, query=query, prefetch=prefetch, with_payload=["n"], **more).points
            for client in (local, server)
        )
        pairs = lambda hits: [(hit.id, hit.score) for hit in hits]
        assert same(ours, theirs), f"{shown}\n  finds {pairs(ours)}\n  not   {pairs(theirs)}"
        told += bool(theirs)
    assert told > rounds // 2, f"only {told} of {rounds} queries find anything"
    print(f"{rounds} queries by {metric}: all agree")


def groups(server, local, rounds, seed, metric):
    """Every value groups the same points."""
    told = 0
    for n in range(rounds):
        query = random.choice([ranking, lambda: None])()
        lookup = random.choice([None, OTHER, models.WithLookup(collection=OTHER, with_payload=["n"], with_vectors=True)])
        by = random.choice(["n", "word", "tags", "tags[]", "deep.n", "parts[].size", "parts[].tags", "missing"])
        more = {"limit": random.randrange(1, 8), "group_size": random.randrange(1, 6), "query_filter": narrow()}
        more["with_lookup"] = lookup
        theirs, ours = (
            client.query_points_groups(NAME, group_by=by, query=query, with_payload=["n"], **more).groups
            for client in (local, server)
        )
        pairs = lambda groups: [(group.id, [(hit.id, hit.score) for hit in group.hits]) for group in groups]
        agree = [group.id for group in ours] == [group.id for group in theirs]
        agree = agree and all(same(a.hits, b.hits) for a, b in zip(ours, theirs))
        looked_up = lambda groups: [(g.lookup.id, g.lookup.payload, bool(g.lookup.vector)) if g.lookup else None for g in groups]
        agree = agree and looked_up(ours) == looked_up(theirs)
        shown = f"seed {seed}, {metric} groups {n}: {query} by {by} {more}"
        assert agree, f"{shown}\n  finds {pairs(ours)}\n  not   {pairs(theirs)}"
        told += len(theirs) > 1
    assert told > rounds // 5, f"only {told} of {rounds} find groups"
    print(f"{rounds} groupings by {metric}: all agree")


def orders(server, local, rounds, seed):
    """Every order has the same points at the same values."""
    told = 0
    for field, kind in {"rank": "integer", "price": "float", "seen": "datetime"}.items():
        server.create_payload_index(NAME, field_name=field, field_schema=kind, wait=True)
    for n in range(rounds):
        key, start = random.choice(
            [
                ("rank", lambda: random.choice([random.randrange(-5, 22), 7.5])),
                ("price", lambda: random.choice([0.5, 0, 2.25])),
                ("seen", lambda: f"2024-0{random.randrange(1, 9)}-15T00:00:00Z"),
            ]
        )
        start = start() if random.random() < 0.5 else None
        order = models.OrderBy(key=key, direction=random.choice(list(models.Direction)), start_from=start)
        wish = narrow()
        shown = f"seed {seed}, order {n}: {order} of {wish}"
        # All of them, by the client's own mode, that leaves points of one value in any order.
        theirs, _ = local.scroll(NAME, scroll_filter=wish, order_by=order, limit=10 * POINTS, with_payload=False)
        down = -1 if order.direction == models.Direction.DESC else 1
        theirs = sorted(((p.order_value, p.id) for p in theirs), key=lambda p: (down * p[0], down * p[1]))
        limit = random.randrange(1, 40)
        ours, after = server.scroll(NAME, scroll_filter=wish, order_by=order, limit=limit, with_payload=["n"])
        assert after is None and [(p.order_value, p.id) for p in ours] == theirs[:limit], shown
        query = models.OrderByQuery(order_by=order)
        ours = server.query_points(NAME, query=query, query_filter=wish, limit=limit, offset=3).points
        assert [(p.order_value, p.id, p.score) for p in ours] == [(*p, 1.0) for p in theirs[3 : limit + 3]], shown
        told += len(theirs) > limit
    assert told > rounds // 4
    print(f"{rounds} orders: all agree")


def lookups(server, local, rounds, seed, metric):
    """Examples of another collection find the same."""
    for n in range(rounds):
        ids = lambda least: [random.randrange(20) for _ in range(random.randrange(least, 3))]
        strategy = random.choice(["average_vector", "best_score", "sum_scores"])
        pair = models.ContextPair(positive=random.randrange(20), negative=vector())
        query = random.choice(
            [
                models.NearestQuery(nearest=random.randrange(20)),
                models.RecommendQuery(recommend=models.RecommendInput(positive=ids(1), negative=ids(0), strategy=strategy)),
                models.DiscoverQuery(discover=models.DiscoverInput(target=random.randrange(20), context=[pair])),
            ]
        )
        more = {"lookup_from": models.LookupLocation(collection=OTHER), "query_filter": narrow(), "limit": 9}
        theirs, ours = (client.query_points(NAME, query=query, **more).points for client in (local, server))
        assert same(ours, theirs), f"seed {seed}, {metric} lookup {n}: {query}\n  finds {ours}\n  not   {theirs}"
    print(f"{rounds} lookups by {metric}: all agree")


def main():
    url = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 400
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    random.seed(seed)
    points = [models.PointStruct(id=n, vector=vector(), payload=payload()) for n in range(POINTS)]
    others = [models.PointStruct(id=n, vector=vector(), payload={"n": n, "word": WORDS[n % 8]}) for n in range(20)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server, local = QdrantClient(url=url, timeout=30), QdrantClient(":memory:")

    def fill(distance):
        for client in (server, local):
            client.delete_collection(NAME)
            client.create_collection(NAME, vectors_config=models.VectorParams(size=SIZE, distance=distance))
            client.upsert(NAME, points=points)
            client.delete_collection(OTHER)
            client.create_collection(OTHER, vectors_config=models.VectorParams(size=SIZE, distance=distance))
            client.upsert(OTHER, points=others)

    for distance in models.Distance:
        fill(distance)
        queries(server, local, rounds // 4, seed, distance.value)
        groups(server, local, rounds // 4, seed, distance.value)
        lookups(server, local, rounds // 8, seed, distance.value)
    fill(models.Distance.EUCLID)
    random.seed(seed)

    matched = 0
    for n in range(rounds):
        if n == rounds // 3:
            # From here on conditions are answered by indexes, while they are built
            # and when they are there: what is found must be the same.
            for field, kind in INDEXES.items():
                server.create_payload_index(NAME, field_name=field, field_schema=kind, wait=True)
        wish = filter_of(2)
        shown = f"seed {seed}, round {n}: {wish.model_dump_json(exclude_none=True)}"
        theirs, ours = scroll(local, wish), scroll(server, wish)
        if theirs != ours:
            odd = sorted(set(theirs) ^ set(ours))[0]
            raise AssertionError(
                f"{shown}\npoint {odd} is found by {'the client' if odd in theirs else 'the server'} alone: "
                f"{points[odd].payload}"
            )
        assert server.count(NAME, count_filter=wish).count == len(theirs), shown
        # Shards in memory have no indexes to count by.
        if n >= rounds // 3 and server.get_collection(NAME).payload_schema:
            # Of a field with texts alone: one index has values of one type.
            key = random.choice(["word", "n", "yes", '"two words"', "deep.missing", "parts[].tags"])
            if key in INDEXES:
                kind = {"keyword": str, "integer": int, "bool": bool}[INDEXES[key]]
                theirs = [h for h in local.facet(NAME, key=key, facet_filter=wish, limit=1000).hits if type(h.value) is kind]
                ours = server.facet(NAME, key=key, facet_filter=wish, limit=5, exact=True).hits
                assert ours == theirs[:5], (shown, key, ours, theirs)
        query = [random.gauss(0, 1) for _ in range(4)]
        nearest = [
            [hit.id for hit in client.query_points(NAME, query=query, query_filter=wish, limit=10).points]
            for client in (local, server)
        ]
        assert nearest[0] == nearest[1], (shown, nearest)
        matched += 0 < len(theirs) < POINTS
    assert matched > rounds // 4, f"only {matched} of {rounds} filters tell points apart"
    print(f"{rounds} filters, {matched} of them tell points apart: all agree")
    orders(server, local, rounds // 2, seed)
    selectors(server, local, rounds, seed)
    changes(server, local, rounds, seed)
    for name in (NAME, OTHER):
        server.delete_collection(name)


if __name__ == "__main__":
    main()
