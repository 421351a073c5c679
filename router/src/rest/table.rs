//! Which route is served by what, and what is told of it. The names of the
//! operations are Qdrant's: clients that are generated have them as the names
//! of their methods.

use super::call::Effect::{Reads, Writes};
use super::explain::Explained;
use super::openapi::HttpMethod::{Delete, Get, Post, Put};
use super::openapi::answers::{GroupsResult, QueryResponse, Record, ScoredPoint, ScrollResult};
use super::openapi::shape::list;
use super::openapi::{Operation, Routes, Tag, a, many, yes};
use super::update::Done;
use super::{
    aliases, collections, digests, edits, facet, groups, indexes, info, matrix, points, query,
    upsert,
};

pub(super) fn of_collections() -> Routes {
    let about = |id, summary| Operation::new(Tag::Collections, id, summary);
    let indexes = |id, summary| Operation::new(Tag::Indexes, id, summary);
    let aliases = |id, summary| Operation::new(Tag::Aliases, id, summary);
    Routes::new()
        .call(
            Get,
            "/collections",
            Reads,
            collections::list,
            about("get_collections", "List all collections").answers(a::<collections::Listed>),
        )
        .call(
            Get,
            "/collections/{c}",
            Reads,
            info::info,
            about("get_collection", "Describe a collection").answers(a::<info::Info>),
        )
        .call(
            Put,
            "/collections/{c}",
            Writes,
            collections::create,
            about("create_collection", "Create a collection")
                .takes(a::<collections::CreateBody>)
                .answers(yes),
        )
        .call(
            Delete,
            "/collections/{c}",
            Writes,
            collections::delete,
            about("delete_collection", "Delete a collection").answers(yes),
        )
        .call(
            Get,
            "/collections/{c}/exists",
            Reads,
            collections::exists,
            about("collection_exists", "Tell whether there is a collection")
                .answers(a::<collections::Existence>),
        )
        .call(
            Post,
            "/collections/aliases",
            Writes,
            aliases::change,
            aliases("update_aliases", "Change aliases, all at once")
                .takes(a::<aliases::Body>)
                .answers(yes),
        )
        .call(
            Get,
            "/aliases",
            Reads,
            aliases::list,
            aliases("get_collections_aliases", "List all aliases").answers(a::<aliases::Listed>),
        )
        .call(
            Get,
            "/collections/{c}/aliases",
            Reads,
            aliases::of_collection,
            aliases("get_collection_aliases", "List the aliases of a collection")
                .answers(a::<aliases::Listed>),
        )
        .call(
            Put,
            "/collections/{c}/index",
            Writes,
            indexes::create,
            indexes("create_field_index", "Index a payload field")
                .takes(a::<indexes::Body>)
                .answers(a::<Done>),
        )
        .call(
            Delete,
            "/collections/{c}/index/{field}",
            Writes,
            indexes::drop,
            indexes("delete_field_index", "Drop the index of a payload field").answers(a::<Done>),
        )
}

pub(super) fn of_points() -> Routes {
    let about = |id, summary| Operation::new(Tag::Points, id, summary);
    Routes::new()
        .call(
            Post,
            "/collections/{c}/points",
            Reads,
            points::retrieve,
            about("get_points", "Get points by their ids")
                .takes(a::<points::RetrieveBody>)
                .answers(many::<Record>),
        )
        .call(
            Get,
            "/collections/{c}/points/{id}",
            Reads,
            points::get,
            about("get_point", "Get a point with all it has").answers(a::<Record>),
        )
        .call(
            Post,
            "/collections/{c}/points/scroll",
            Reads,
            points::scroll,
            about("scroll_points", "Get points page by page")
                .takes(a::<points::ScrollBody>)
                .answers(a::<ScrollResult>)
                .may_be_partial(),
        )
        .call(
            Post,
            "/collections/{c}/points/count",
            Reads,
            points::count,
            about("count_points", "Count points")
                .takes(a::<points::CountBody>)
                .answers(a::<points::Counted>)
                .may_be_partial(),
        )
}

pub(super) fn of_changes() -> Routes {
    let change = |id, summary| Operation::new(Tag::Points, id, summary).answers(a::<Done>);
    Routes::new()
        .call(
            Put,
            "/collections/{c}/points",
            Writes,
            upsert::upsert,
            change("upsert_points", "Put points in").takes(a::<upsert::Body<'_>>),
        )
        .call(
            Post,
            "/collections/{c}/points/delete",
            Writes,
            edits::delete,
            change("delete_points", "Delete points").takes(a::<edits::Selected>),
        )
        .call(
            Post,
            "/collections/{c}/points/payload",
            Writes,
            edits::set_payload,
            change("set_payload", "Set keys of payloads").takes(a::<edits::Values<'_>>),
        )
        .call(
            Put,
            "/collections/{c}/points/payload",
            Writes,
            edits::overwrite_payload,
            change("overwrite_payload", "Put a payload in the place of others")
                .takes(a::<edits::Values<'_>>),
        )
        .call(
            Post,
            "/collections/{c}/points/payload/delete",
            Writes,
            edits::delete_payload,
            change("delete_payload", "Delete keys of payloads").takes(a::<edits::Removal>),
        )
        .call(
            Post,
            "/collections/{c}/points/payload/clear",
            Writes,
            edits::clear_payload,
            change("clear_payload", "Delete all keys of payloads").takes(a::<edits::Selected>),
        )
        .call(
            Put,
            "/collections/{c}/points/vectors",
            Writes,
            edits::update_vectors,
            change("update_vectors", "Set vectors of points").takes(a::<edits::Vectors>),
        )
        .call(
            Post,
            "/collections/{c}/points/vectors/delete",
            Writes,
            edits::delete_vectors,
            change("delete_vectors", "Delete vectors of points").takes(a::<edits::VectorRemoval>),
        )
        .call(
            Post,
            "/collections/{c}/points/batch",
            Writes,
            edits::batch,
            Operation::new(
                Tag::Points,
                "batch_update",
                "Make several changes in their order",
            )
            .takes(a::<edits::Batch<'_>>)
            .answers(many::<Done>),
        )
}

pub(super) fn of_queries() -> Routes {
    let about = |id, summary| Operation::new(Tag::Search, id, summary);
    let one = |id, summary| about(id, summary).explains(a::<Explained<'_>>);
    let batch = |id, summary| about(id, summary).explains(many::<Explained<'_>>);
    Routes::new()
        .call(
            Post,
            "/collections/{c}/points/query",
            Reads,
            query::query,
            one("query_points", "Search in any of the ways there are")
                .takes(a::<query::QueryBody>)
                .answers(a::<QueryResponse>),
        )
        .call(
            Post,
            "/collections/{c}/points/query/batch",
            Reads,
            query::query_batch,
            batch("query_batch_points", "Make several queries at once")
                .takes(a::<query::Batch<query::QueryBody>>)
                .answers(many::<QueryResponse>),
        )
        .call(
            Post,
            "/collections/{c}/points/query/groups",
            Reads,
            groups::query_groups,
            about(
                "query_points_groups",
                "Find the best points of each value of a field",
            )
            .takes(a::<groups::QueryGroupsBody>)
            .answers(a::<GroupsResult>),
        )
}

/// What queries do, as clients asked for it before there were queries.
pub(super) fn of_searches() -> Routes {
    let about = |id, summary| Operation::new(Tag::Search, id, summary);
    let one = |id, summary| about(id, summary).explains(a::<Explained<'_>>);
    let batch = |id, summary| about(id, summary).explains(many::<Explained<'_>>);
    Routes::new()
        .call(
            Post,
            "/collections/{c}/points/search",
            Reads,
            query::search,
            one("search_points", "Find what is nearest to a vector")
                .takes(a::<query::SearchBody>)
                .answers(many::<ScoredPoint>),
        )
        .call(
            Post,
            "/collections/{c}/points/search/batch",
            Reads,
            query::search_batch,
            batch(
                "search_batch_points",
                "Make several searches by vectors at once",
            )
            .takes(a::<query::Batch<query::SearchBody>>)
            .answers(|parts| list(many::<ScoredPoint>(parts))),
        )
        .call(
            Post,
            "/collections/{c}/points/search/groups",
            Reads,
            groups::search_groups,
            about(
                "search_point_groups",
                "Find the nearest points of each value of a field",
            )
            .takes(a::<groups::SearchGroupsBody>)
            .answers(a::<GroupsResult>),
        )
        .call(
            Post,
            "/collections/{c}/points/recommend",
            Reads,
            query::recommend,
            one(
                "recommend_points",
                "Find what is like some points and unlike others",
            )
            .takes(a::<query::RecommendBody>)
            .answers(many::<ScoredPoint>),
        )
        .call(
            Post,
            "/collections/{c}/points/recommend/batch",
            Reads,
            query::recommend_batch,
            batch(
                "recommend_batch_points",
                "Make several recommendations at once",
            )
            .takes(a::<query::Batch<query::RecommendBody>>)
            .answers(|parts| list(many::<ScoredPoint>(parts))),
        )
        .call(
            Post,
            "/collections/{c}/points/recommend/groups",
            Reads,
            groups::recommend_groups,
            about(
                "recommend_point_groups",
                "Recommend points of each value of a field",
            )
            .takes(a::<groups::RecommendGroupsBody>)
            .answers(a::<GroupsResult>),
        )
        .call(
            Post,
            "/collections/{c}/points/discover",
            Reads,
            query::discover,
            one(
                "discover_points",
                "Find what is near a target where a context allows",
            )
            .takes(a::<query::DiscoverBody>)
            .answers(many::<ScoredPoint>),
        )
        .call(
            Post,
            "/collections/{c}/points/discover/batch",
            Reads,
            query::discover_batch,
            batch("discover_batch_points", "Make several discoveries at once")
                .takes(a::<query::Batch<query::DiscoverBody>>)
                .answers(|parts| list(many::<ScoredPoint>(parts))),
        )
}

/// What is told of many points at once.
pub(super) fn of_figures() -> Routes {
    let about = |id, summary| Operation::new(Tag::Search, id, summary);
    Routes::new()
        .call(
            Post,
            "/collections/{c}/points/search/matrix/pairs",
            Reads,
            matrix::pairs,
            about(
                "search_matrix_pairs",
                "Tell how near some random points are, as pairs",
            )
            .takes(a::<matrix::Body>)
            .answers(a::<matrix::Pairs>),
        )
        .call(
            Post,
            "/collections/{c}/points/search/matrix/offsets",
            Reads,
            matrix::offsets,
            about(
                "search_matrix_offsets",
                "Tell how near some random points are, as lists",
            )
            .takes(a::<matrix::Body>)
            .answers(a::<matrix::Columns>),
        )
        .call(
            Post,
            "/collections/{c}/facet",
            Reads,
            facet::facet,
            about("facet", "Count the points of each value of a field")
                .takes(a::<facet::Body>)
                .answers(a::<facet::Found>),
        )
}

/// What Quoit alone has.
pub(super) fn of_quoit() -> Routes {
    let about = |id, summary| Operation::new(Tag::Collections, id, summary);
    Routes::new().call(
        Get,
        "/quoit/v1/collections/{c}/digests",
        Reads,
        digests::digests,
        about(
            "get_digests",
            "Tell what each replica has of each vnode, as counts and digests",
        )
        .answers(a::<digests::Digests>),
    )
}
