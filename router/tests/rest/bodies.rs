//! The calls that take a body, each with bodies that are right: what the fuzz
//! tests start from, and what the description of the API must allow.

use serde_json::{Value, json};

pub type Calls = Vec<(&'static str, &'static str, Value)>;

/// Each call that takes a body, with one that is right.
pub fn calls() -> Calls {
    [reads(), searches(), writes(), edits(), others()].concat()
}

fn reads() -> Calls {
    vec![
        (
            "POST",
            "/collections/docs/points",
            json!({"ids": [1], "with_payload": ["a", "b.c[]"], "with_vector": true}),
        ),
        (
            "POST",
            "/collections/docs/points/query",
            json!({
                "query": {"nearest": [1, 2, 3], "mmr": null}, "limit": 3, "offset": 1, "using": "",
                "filter": {"must": []}, "params": {"hnsw_ef": 4, "exact": false},
                "score_threshold": 0.5, "with_payload": {"exclude": ["a.b", "c[].d"]}, "with_vector": [""],
            }),
        ),
        (
            "POST",
            "/collections/docs/points/query",
            json!({"query": 1, "prefetch": []}),
        ),
        (
            "POST",
            "/collections/docs/points/query/batch",
            json!({"searches": [{"query": [1, 2, 3]}, {}]}),
        ),
        (
            "POST",
            "/collections/docs/points/query",
            json!({
                "query": {"rrf": {"k": 3, "weights": [1, 0.5]}}, "filter": {"must": []},
                "prefetch": [
                    {"query": {"nearest": [1, 2, 3], "mmr": {"diversity": 0.5, "candidates_limit": 5}}, "limit": 4},
                    {"query": {"fusion": "dbsf"}, "prefetch": {"query": [1, 2, 3], "params": {"exact": true}}},
                ],
            }),
        ),
        (
            "POST",
            "/collections/docs/points/query",
            json!({"query": {"sample": "random"}, "limit": 3, "with_payload": true}),
        ),
        (
            "POST",
            "/collections/docs/points/query",
            json!({"query": {"recommend": {"positive": [[1, 2, 3]], "negative": [], "strategy": "average_vector"}}}),
        ),
        (
            "POST",
            "/collections/docs/points/query",
            json!({"query": {"discover": {"target": 1, "context": {"positive": 2, "negative": [1, 2, 3]}}}}),
        ),
        (
            "POST",
            "/collections/docs/points/query",
            json!({"query": {"context": [{"positive": 2, "negative": 1}]}, "lookup_from": {"collection": "docs", "vector": ""}}),
        ),
        (
            "POST",
            "/collections/docs/points/query",
            json!({"query": {"order_by": {"key": "n", "direction": "desc", "start_from": 7}}}),
        ),
        (
            "POST",
            "/collections/docs/points/query/groups",
            json!({"query": [1, 2, 3], "group_by": "a[].b", "group_size": 2, "limit": 3, "with_payload": true}),
        ),
        (
            "POST",
            "/collections/docs/points/search/groups",
            json!({"vector": [1, 2, 3], "group_by": "a", "group_size": 2, "limit": 3, "with_lookup": null}),
        ),
        (
            "POST",
            "/collections/docs/points/recommend",
            json!({"positive": [[1, 2, 3]], "negative": [[3, 2, 1]], "limit": 2, "strategy": null}),
        ),
        (
            "POST",
            "/collections/docs/points/search",
            json!({"vector": {"name": "", "vector": [1, 2, 3]}, "limit": 2}),
        ),
        (
            "POST",
            "/collections/docs/points/scroll",
            json!({"offset": 1, "limit": 2, "filter": null}),
        ),
        (
            "POST",
            "/collections/docs/points/count",
            json!({"exact": true, "filter": {}}),
        ),
    ]
}

fn writes() -> Calls {
    vec![
        (
            "PUT",
            "/collections/docs/points",
            json!({"points": [
                {"id": 1, "vector": [1, 2, 3], "payload": {"a": [1, {"b": null}]}},
                {"id": "5c56c79369f34fbf87e6c4bf54c28c26", "vector": {"": [1, 2, 3]}},
            ]}),
        ),
        (
            "PUT",
            "/collections/docs/points",
            json!({"batch": {
                "ids": [1, 2], "vectors": [[1, 2, 3], [1, 2, 3]], "payloads": [null, {"a": 1}],
            }}),
        ),
        (
            "POST",
            "/collections/docs/facet",
            json!({"key": "a.b[]", "limit": 3, "filter": {"must": []}, "exact": true}),
        ),
        (
            "POST",
            "/collections/docs/points/delete",
            json!({"points": [7]}),
        ),
        (
            "POST",
            "/collections/docs/points/payload",
            json!({"payload": {"a": {"b": [1]}}, "points": [1], "key": "c.d"}),
        ),
        (
            "POST",
            "/collections/docs/points/payload/delete",
            json!({"keys": ["a.b[]", "c"], "filter": {"must": []}}),
        ),
        (
            "POST",
            "/collections/docs/points/batch",
            json!({"operations": [
                {"upsert": {"points": [{"id": 1, "vector": [1, 2, 3]}], "update_filter": {"must": []}}},
                {"overwrite_payload": {"payload": {"a": 1}, "points": [1]}},
                {"update_vectors": {"points": [{"id": 1, "vector": [3, 2, 1]}]}},
                {"clear_payload": {"filter": {"should": []}}}, {"delete": {"points": [1]}},
            ]}),
        ),
        (
            "PUT",
            "/collections/new",
            json!({
                "vectors": {"": {"size": 3, "distance": "Dot", "hnsw_config": {"m": 4}}},
                "shard_number": 1, "hnsw_config": {"ef_construct": 10},
            }),
        ),
    ]
}

fn searches() -> Calls {
    let search = json!({"vector": [1, 2, 3], "limit": 3, "offset": 0, "score_threshold": -1, "with_vector": true});
    let recommend = json!({
        "positive": [1], "negative": [[1, 2, 3]], "limit": 3, "strategy": "best_score",
        "lookup_from": {"collection": "docs"}, "params": {"indexed_only": false},
    });
    let discover = json!({"target": [3, 2, 1], "context": [{"positive": 1, "negative": 2}], "limit": 2, "with_payload": ["city"]});
    vec![
        (
            "POST",
            "/collections/docs/points/search/batch",
            json!({"searches": [search]}),
        ),
        (
            "POST",
            "/collections/docs/points/recommend/batch",
            json!({"searches": [recommend]}),
        ),
        (
            "POST",
            "/collections/docs/points/recommend/groups",
            json!({
                "positive": [1], "group_by": "city", "group_size": 2, "limit": 3,
                "with_lookup": {"collection": "docs", "with_payload": true, "with_vectors": false},
            }),
        ),
        (
            "POST",
            "/collections/docs/points/discover",
            discover.clone(),
        ),
        (
            "POST",
            "/collections/docs/points/discover/batch",
            json!({"searches": [discover]}),
        ),
        (
            "POST",
            "/collections/docs/points/search/matrix/pairs",
            json!({"sample": 3, "limit": 2, "using": "", "filter": {"must": {"has_id": [1, 2, 3]}}}),
        ),
        (
            "POST",
            "/collections/docs/points/search/matrix/offsets",
            json!({"sample": 3}),
        ),
        (
            "POST",
            "/collections/docs/points/scroll",
            json!({"order_by": "n", "limit": 2, "with_payload": {"include": ["city"]}}),
        ),
        (
            "POST",
            "/collections/docs/points/count",
            json!({"filter": every_condition()}),
        ),
    ]
}

/// A filter with each kind of condition in it.
fn every_condition() -> Value {
    let place = json!({"lat": 52.5, "lon": 13.4});
    let ring = json!({"points": [{"lat": 0, "lon": 0}, {"lat": 0, "lon": 9}, {"lat": 9, "lon": 9}, {"lat": 0, "lon": 0}]});
    json!({
        "must": [
            {"key": "city", "match": {"value": "Berlin"}},
            {"key": "n", "match": {"any": [1, 2]}},
            {"key": "city", "match": {"except": ["Paris"]}},
            {"key": "city", "match": {"text": "a b"}},
            {"key": "city", "match": {"text_any": "a b"}},
            {"key": "city", "match": {"phrase": "a b"}},
            {"key": "city", "match": {"prefix": "B"}},
            {"key": "city", "match": {"substring": "er"}},
            {"key": "n", "range": {"gt": 1, "gte": 1.5, "lt": 9, "lte": null}},
            {"key": "when", "range": {"gte": "2024-06-15T12:00:00Z", "lt": "2025-01-01"}},
            {"key": "at", "geo_bounding_box": {"top_left": {"lat": 60, "lon": 1}, "bottom_right": place}},
            {"key": "at", "geo_radius": {"center": place, "radius": 1000}},
            {"key": "at", "geo_polygon": {"exterior": ring, "interiors": []}},
            {"key": "city", "values_count": {"gte": 1}},
            {"key": "city", "is_empty": false},
            {"key": "city", "is_null": true, "match": null},
        ],
        "should": [
            {"is_empty": {"key": "city"}}, {"is_null": {"key": "city"}}, {"has_id": [1]}, {"has_vector": ""},
            {"slice": {"total": 4, "index": 1}},
            {"nested": {"key": "parts", "filter": {"must": {"key": "n", "match": {"value": true}}}}},
            {"must_not": [{"must": []}]},
        ],
        "must_not": null,
        "min_should": {"conditions": [{"has_id": [2]}], "min_count": 1},
    })
}

fn edits() -> Calls {
    vec![
        (
            "PUT",
            "/collections/docs/points",
            json!({
                "points": [{"id": 9, "vector": {}, "payload": null}],
                "update_mode": "insert_only", "update_filter": {"must": []},
            }),
        ),
        (
            "PUT",
            "/collections/docs/points/payload",
            json!({"payload": {"city": "Berlin", "n": 1}, "points": [1]}),
        ),
        (
            "POST",
            "/collections/docs/points/payload/clear",
            json!({"points": [1]}),
        ),
        (
            "PUT",
            "/collections/docs/points/vectors",
            json!({"points": [{"id": 1, "vector": [3, 2, 1]}], "update_filter": null}),
        ),
        (
            "POST",
            "/collections/docs/points/vectors/delete",
            json!({"vector": [""], "filter": {"must": {"has_id": [99]}}}),
        ),
    ]
}

fn others() -> Calls {
    vec![
        (
            "PUT",
            "/collections/docs/index",
            json!({"field_name": "city", "field_schema": "keyword"}),
        ),
        (
            "PUT",
            "/collections/docs/index",
            json!({"field_name": "a.b", "field_schema": {
                "type": "text", "tokenizer": "word", "lowercase": true, "min_token_len": 1, "max_token_len": 20,
                "phrase_matching": true, "on_disk": false,
            }}),
        ),
        (
            "POST",
            "/collections/aliases",
            json!({"actions": [
                {"create_alias": {"collection_name": "docs", "alias_name": "x"}},
                {"rename_alias": {"old_alias_name": "x", "new_alias_name": "y"}},
                {"delete_alias": {"alias_name": "y"}},
            ]}),
        ),
        (
            "PUT",
            "/collections/named",
            json!({
                "vectors": {"text": {"size": 3, "distance": "Cosine", "datatype": "float32"}},
                "replication_factor": 1, "sharding_method": "auto",
            }),
        ),
    ]
}
