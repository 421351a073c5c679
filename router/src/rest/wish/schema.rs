//! What the description of the API says of queries: each kind by its key, under
//! the name that Qdrant's description gives it.

use super::{Discover, FusionName, JsonOrder, Mmr, Pairs, Recommend, Rrf, SampleName, Start, Wish};
use crate::rest::openapi::shape::{any_of, named, null, object, shaped};

shaped!(Wish as "QueryInterface" of Start, Nearest, Recommended, Discovered, Context, Ordered, Fused, FusedByRrf, Sampled =>
any_of([
    named::<Start>(),
    named::<Nearest>(),
    named::<Recommended>(),
    named::<Discovered>(),
    named::<Context>(),
    named::<Ordered>(),
    named::<Fused>(),
    named::<FusedByRrf>(),
    named::<Sampled>(),
]));

enum Nearest {}

shaped!(Nearest as "NearestQuery" of Start, Mmr => object(
    &[("nearest", named::<Start>())],
    &[("mmr", any_of([named::<Mmr>(), null()]))],
)
.into());

/// A kind that is told by its key alone.
macro_rules! kind {
    ($name:ident as $told:literal, $key:literal: $what:ty) => {
        enum $name {}

        shaped!($name as $told of $what => object(&[($key, named::<$what>())], &[]).into());
    };
}

kind!(Recommended as "RecommendQuery", "recommend": Recommend);
kind!(Discovered as "DiscoverQuery", "discover": Discover);
kind!(Context as "ContextQuery", "context": Pairs);
kind!(Ordered as "OrderByQuery", "order_by": JsonOrder);
kind!(Fused as "FusionQuery", "fusion": FusionName);
kind!(FusedByRrf as "RrfQuery", "rrf": Rrf);
kind!(Sampled as "SampleQuery", "sample": SampleName);
