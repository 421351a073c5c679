//! The messages of a request as they come in: none is larger than the bound,
//! each has room set aside for it before its bytes are taken from the
//! connection, and none is waited for after its sender has fallen silent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures::StreamExt;
use futures::stream::unfold;
use tokio::time::Instant;
use tonic::Status;

use crate::error::Error;
use crate::limits::Room;
use crate::server::App;

/// How long the next bytes of a message may take: room is set aside for all of
/// it, and clients that send nothing must not keep it from the others.
const PIECE_TIME: Duration = Duration::from_secs(10);

/// Before each message there are a flag and its length.
const HEAD: usize = 5;

/// The room that is set aside for the messages of one request, in their order.
/// Who has taken a message takes its room, and gives it back when it is done.
#[derive(Clone, Default)]
pub(crate) struct Rooms(Arc<Mutex<VecDeque<Room>>>);

impl Rooms {
    fn put(&self, room: Room) {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.push_back(room);
    }

    /// The room of the first message whose room has not been taken yet.
    pub(crate) fn take(&self) -> Option<Room> {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.pop_front()
    }
}

/// Puts the measure around a request's body.
pub(crate) async fn measure(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let rooms = Rooms::default();
    request.extensions_mut().insert(rooms.clone());
    let request = request.map(|body| {
        let measured = Measured {
            app,
            rooms,
            frames: body.into_data_stream(),
            head: Vec::with_capacity(HEAD),
            left: 0,
            due: None,
        };
        Body::from_stream(unfold(measured, Measured::next))
    });
    next.run(request).await
}

struct Measured {
    app: Arc<App>,
    rooms: Rooms,
    frames: BodyDataStream,
    /// What is there of the head of the next message.
    head: Vec<u8>,
    /// How many bytes of the message are yet to come.
    left: usize,
    /// When the message is to be whole.
    due: Option<Instant>,
}

impl Measured {
    async fn next(mut self) -> Option<(Result<Bytes, Status>, Self)> {
        let frame = match self.due {
            None => self.frames.next().await,
            Some(due) => {
                let due = due.min(Instant::now() + PIECE_TIME);
                let Ok(frame) = tokio::time::timeout_at(due, self.frames.next()).await else {
                    let seconds = PIECE_TIME.as_secs();
                    return Some((Err(Error::AwaitBody { seconds }.into()), self));
                };
                frame
            }
        };
        let frame = match frame? {
            Ok(frame) => frame,
            // The connection is gone, or the client has given up.
            Err(error) => return Some((Err(Status::cancelled(error.to_string())), self)),
        };
        match self.walk(&frame).await {
            Ok(()) => Some((Ok(frame), self)),
            Err(error) => Some((Err(error.into()), self)),
        }
    }

    /// Looks where messages begin in these bytes, and sets room aside for them.
    async fn walk(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let taken = if self.left > 0 {
                let taken = self.left.min(bytes.len());
                self.left -= taken;
                taken
            } else {
                let taken = (HEAD - self.head.len()).min(bytes.len());
                self.head.extend_from_slice(&bytes[..taken]);
                taken
            };
            bytes = &bytes[taken..];
            if let Ok([_flag, length @ ..]) = <[u8; HEAD]>::try_from(self.head.as_slice()) {
                self.begin(u32::from_be_bytes(length) as usize).await?;
            }
        }
        let is_between = self.left == 0 && self.head.is_empty();
        if is_between {
            self.due = None;
        } else if self.due.is_none() {
            self.due = Some(Instant::now() + self.app.limits.timeout);
        }
        Ok(())
    }

    async fn begin(&mut self, length: usize) -> Result<(), Error> {
        let limit = self.app.limits.max_request_bytes;
        if length > limit {
            return Err(Error::FitMessage { length, limit });
        }
        self.head.clear();
        self.left = length;
        self.due = None;
        let room = self.app.admission.room_for(length).await;
        self.rooms.put(room.map_err(|_| Error::Enter)?);
        Ok(())
    }
}
