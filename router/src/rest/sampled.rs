//! Points by chance that meet a filter.
//!
//! All of them have about the same chance. Where there are many, only those in
//! vnodes chosen by chance are looked at: a point's vnode is a hash of its id,
//! so that each is as likely to be there as any other, but points of the same
//! vnode come together more often. Where a single vnode has more points than
//! are looked at in all, those with the least ids are.

use quoit_filter::Filter;

use crate::catalog::Collection;
use crate::fanout::{Error, Row, read};
use crate::sample::{Random, enough_vnodes};

/// Chooses up to `limit` points.
pub(crate) async fn sampled(
    collection: &Collection,
    filter: &Filter,
    limit: usize,
    mut random: Random,
) -> Result<Vec<Row>, Error> {
    let count = read::count(collection, filter).await?;
    // About twice as many as are ever wanted, and never more than twice that.
    let pool = collection
        .params()
        .limits
        .max_search_limit
        .saturating_mul(2);
    let all = collection.vnodes().get() as usize;
    let mut look_at = enough_vnodes(collection.vnodes(), count, pool);
    loop {
        let vnodes = random.vnodes(collection.vnodes(), look_at);
        let most = pool.saturating_mul(2);
        let rows = read::ids_within(collection, filter, &vnodes, most).await?;
        // What meets the filter may be spread unevenly, or be gone by now.
        if rows.len() >= limit || look_at == all {
            return Ok(random.take(rows, limit));
        }
        look_at = look_at.saturating_mul(2).min(all);
    }
}
