//! Points in the order of their ids, as a stream. The next page is asked of the
//! shards when the client has taken the one before, so that a slow client keeps
//! no more than a page; and pages get shorter where points are large.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use futures::stream::try_unfold;
use prost::Message;
use quoit_filter::Filter;
use quoit_proto::v1::{PointOutput, ScrollPointsRequest, ScrollPointsResponse};
use quoit_ring::PointId;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::call::{collection, enter, reading, timeout, within};
use super::read::{self, Show};
use crate::catalog::Collection;
use crate::error::Error;
use crate::fanout::read as shards;
use crate::reading::Reading;
use crate::select::Selector;
use crate::server::App;

/// The answer as a stream.
pub(crate) type Pages =
    Pin<Box<dyn Stream<Item = Result<ScrollPointsResponse, Status>> + Send + 'static>>;

/// About so many bytes are in one message, which is well within what clients
/// take by default, and in one page.
const MESSAGE_BYTES: usize = 1 << 20;

/// The points of the first page. What they are like decides on the next one.
const FIRST_PAGE: usize = 64;

/// The points of a page at most.
const MAX_PAGE: usize = 2_048;

/// Begins the stream.
pub(crate) fn scroll(
    app: &Arc<App>,
    request: Request<ScrollPointsRequest>,
) -> Result<Response<Pages>, Status> {
    let (metadata, _, request) = request.into_parts();
    let limit = timeout(&metadata)?;
    let walk = Walk::new(app, request, &reading(&metadata)?, limit)?;
    Ok(Response::new(Box::pin(try_unfold(walk, Walk::next))))
}

/// Where a stream is.
struct Walk {
    app: Arc<App>,
    collection: Collection,
    filter: Filter,
    show: Show,
    /// The first id of the next page; from the beginning if there is none.
    from: Option<PointId>,
    /// No page comes after those that were fetched.
    is_over: bool,
    /// How many points may yet be answered.
    left: u64,
    /// How many points to ask for next.
    page: usize,
    /// What was fetched and not yet answered.
    fetched: VecDeque<PointOutput>,
    /// When the client wants no more, and how long it gave from the beginning.
    due: Option<(Instant, Duration)>,
}

impl Walk {
    fn new(
        app: &Arc<App>,
        request: ScrollPointsRequest,
        reading: &Reading,
        limit: Option<Duration>,
    ) -> Result<Self, Error> {
        let collection = collection(app, &request.collection)?.read_as(reading);
        within(&collection, &request)?;
        let from = request.from.as_ref();
        let from = from.map(|id| read::id(Some(id), |_: &str| "from".to_owned()));
        if request.limit == Some(0) {
            let message = "value 0 invalid, must be 1 or larger; left out, all points are answered";
            return Err(Error::fit("limit", message));
        }
        Ok(Self {
            app: Arc::clone(app),
            filter: read::filter(request.filter, "filter")?,
            show: Show::new(
                &collection,
                request.with_payload,
                request.with_vectors,
                Selector::Everything,
                |name: &str| name.to_owned(),
            )?,
            from: from.transpose()?,
            is_over: false,
            left: request.limit.unwrap_or(u64::MAX),
            page: FIRST_PAGE.min(collection.params().limits.max_search_limit),
            fetched: VecDeque::new(),
            due: limit.map(|limit| (Instant::now() + limit, limit)),
            collection,
        })
    }

    async fn next(mut self) -> Result<Option<(ScrollPointsResponse, Self)>, Status> {
        // A filter may let nothing through for a while; the end is told apart.
        while self.fetched.is_empty() {
            if self.is_over || self.left == 0 {
                return Ok(None);
            }
            self.fetch().await.inspect_err(|error| {
                tracing::debug!(%error, "a scroll broke off");
            })?;
        }
        let mut points = Vec::new();
        let mut bytes = 0;
        while let Some(point) = self.fetched.front() {
            bytes += point.encoded_len();
            if bytes > MESSAGE_BYTES && !points.is_empty() {
                break;
            }
            points.extend(self.fetched.pop_front());
        }
        Ok(Some((ScrollPointsResponse { points }, self)))
    }

    async fn fetch(&mut self) -> Result<(), Error> {
        let begun = Instant::now();
        let (limit, time) = match self.due {
            Some((due, all)) if due < begun + self.app.limits.timeout => {
                (all, due.saturating_duration_since(begun))
            }
            _ => (self.app.limits.timeout, self.app.limits.timeout),
        };
        let wanted = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(self.page);
        let fetch = async {
            let _place = enter(&self.app).await?;
            let with = self.show.with();
            let page =
                shards::scroll(&self.collection, &self.filter, self.from, wanted, with).await;
            Ok::<_, Error>(page?)
        };
        let fetched = tokio::time::timeout(time, fetch).await;
        let writes = false;
        let page = fetched.unwrap_or(Err(Error::Finish { limit, writes }))?;
        self.from = page.next;
        self.is_over = page.next.is_none();
        self.left -= page.rows.len() as u64;
        let mut bytes = 0;
        for row in page.rows {
            let point = self.show.point(row)?;
            bytes += point.encoded_len();
            self.fetched.push_back(point);
        }
        let each = (bytes / self.fetched.len().max(1)).max(1);
        let max = self.collection.params().limits.max_search_limit;
        self.page = (MESSAGE_BYTES / each).clamp(1, MAX_PAGE.min(max));
        Ok(())
    }
}
