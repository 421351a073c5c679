//! Taking a copy of a leader's data in, beside this member's own. When it is whole
//! and durable, the shard is opened anew on it; until then this one goes on as it
//! is, and afterwards it says nothing more: its log is no longer what its leader
//! takes it for.

use super::log_thread::chain;
use super::peer::PeerError;
use crate::background;
use parking_lot::Mutex;
use quoit_disk::Disk;
use quoit_engine::{Chunk, Engine, Identity, Install, Place, SnapshotError, Tuning};
use quoit_proto::v1;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;

/// Where copies are taken in.
#[derive(Clone)]
pub struct TakingOptions {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The folder of the data.
    pub data: PathBuf,
    /// What the checksums of the data are seeded by.
    pub identity: Identity,
    /// Sizes and threads of the engine.
    pub tuning: Tuning,
    /// Bytes of the disk that stay free.
    pub spare: u64,
}

/// A copy that is coming in, or none.
pub struct Taking {
    options: TakingOptions,
    engine: Arc<Engine>,
    install: tokio::sync::Mutex<Option<(u64, Install)>>,
    /// The number of the copy that is whole.
    taken: OnceLock<u64>,
    /// Why the last one was not taken in.
    refused: Mutex<Option<String>>,
    /// Notified when a copy is whole.
    pub whole: Arc<Notify>,
}

type Answer = Result<v1::SnapshotAnswer, PeerError>;

fn refused(error: &dyn std::error::Error) -> PeerError {
    PeerError::Refused(chain(error))
}

impl Taking {
    /// Of a member with this engine.
    pub fn new(options: TakingOptions, engine: Arc<Engine>) -> Self {
        Self {
            options,
            engine,
            install: tokio::sync::Mutex::default(),
            taken: OnceLock::new(),
            refused: Mutex::default(),
            whole: Arc::default(),
        }
    }

    /// Whether a copy is whole, and this member is to be opened anew on it.
    pub fn is_whole(&self) -> bool {
        self.taken.get().is_some()
    }

    /// Why the last one that a leader had was not taken in.
    pub fn refused(&self) -> Option<String> {
        self.refused.lock().clone()
    }

    /// What it lacks comes from the log.
    pub fn is_not_needed(&self) {
        *self.refused.lock() = None;
    }

    /// Notes why a copy cannot be taken in, and tells it once: its leader asks again
    /// and again.
    fn note(&self, begun: &Result<Install, SnapshotError>) {
        let why = begun.as_ref().err().map(|error| chain(error));
        let mut refused = self.refused.lock();
        if let Some(error) = &why
            && *refused != why
        {
            tracing::warn!(error, "a copy of the leader's data cannot be taken in");
        }
        *refused = why;
    }

    /// What a leader is told when a copy is whole. It takes the member to have what
    /// the copy has that it asked about, and another one may have less.
    fn when_whole(&self, export: u64) -> Option<Answer> {
        let taken_of = *self.taken.get()?;
        Some(if taken_of == export {
            Ok(taken())
        } else {
            let why = "it is being opened anew on another copy";
            Err(PeerError::Unreachable(why.to_owned()))
        })
    }

    /// A leader has a copy for this member, or, without a manifest, would make one.
    ///
    /// # Errors
    /// It does not fit this member, or there is no room for it.
    pub async fn offered(&self, offer: v1::SnapshotOffer) -> Answer {
        let v1::SnapshotOffer {
            export, manifest, ..
        } = offer;
        let mut install = self.install.lock().await;
        if let Some(answer) = self.when_whole(export) {
            return answer;
        }
        if manifest.is_empty() {
            return Ok(wants(None));
        }
        if let Some((of, install)) = &*install
            && *of == export
        {
            return Ok(wants(install.wants()));
        }
        // Its files are closed before another is begun in their place.
        drop(install.take());
        let (options, engine) = (self.options.clone(), self.engine.clone());
        let begin = move || {
            let TakingOptions {
                disk,
                data,
                identity,
                tuning,
                spare,
            } = options;
            let params = engine.params();
            Install::begin(disk, &data, identity, params, tuning, &manifest, spare)
        };
        let beginning = background::run(begin).await;
        let offered = beginning.map_err(|e| refused(&e))?;
        self.note(&offered);
        let incoming = offered.map_err(|e| refused(&e))?;
        let next = wants(incoming.wants());
        *install = Some((export, incoming));
        Ok(next)
    }

    /// A chunk of it.
    ///
    /// # Errors
    /// It is not the one that is wanted, or is damaged, or the disk failed.
    pub async fn put(&self, chunk: v1::SnapshotChunk) -> Answer {
        let mut slot = self.install.lock().await;
        if let Some(answer) = self.when_whole(chunk.export) {
            return answer;
        }
        let v1::SnapshotChunk {
            export,
            at,
            bytes,
            hash,
            ..
        } = chunk;
        let Some((of, mut install)) = slot.take_if(|(of, _)| *of == export) else {
            let why = "it takes no such copy in: offer it first";
            return Err(PeerError::Refused(why.to_owned()));
        };
        let at = at.unwrap_or_default();
        let chunk = Chunk {
            export,
            at: Place {
                part: at.part,
                offset: at.offset,
            },
            bytes,
            hash,
        };
        let put = move || {
            let put = install.put(&chunk);
            if put.is_ok() && install.wants().is_none() {
                return (install.finish().map(|_| ()), None);
            }
            let goes_on = put
                .as_ref()
                .map_or_else(SnapshotError::is_passing, |()| true);
            (put, goes_on.then_some(install))
        };
        let (result, install) = background::run(put).await.map_err(|e| refused(&e))?;
        let whole = result.is_ok() && install.is_none();
        let next = install.as_ref().and_then(Install::wants);
        *slot = install.map(|install| (of, install));
        result.map_err(|e| refused(&e))?;
        if whole {
            tracing::info!("a copy of the leader's data is whole: the shard is opened anew on it");
            metrics::counter!("quoit_copies_taken_total").increment(1);
            // It is set once: from here on chunks are answered above.
            let _: Result<(), u64> = self.taken.set(export);
            self.whole.notify_waiters();
            return Ok(taken());
        }
        Ok(wants(next))
    }
}

fn wants(place: Option<Place>) -> v1::SnapshotAnswer {
    use v1::snapshot_answer::Kind;
    let Place { part, offset } = place.unwrap_or(Place { part: 0, offset: 0 });
    let place = v1::SnapshotPlace { part, offset };
    v1::SnapshotAnswer {
        kind: Some(Kind::Wants(place)),
    }
}

fn taken() -> v1::SnapshotAnswer {
    use v1::snapshot_answer::Kind;
    v1::SnapshotAnswer {
        kind: Some(Kind::Taken(v1::SnapshotTaken {})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::tests::{IDENTITY, open_engine};
    use quoit_disk::RealDisk;
    use quoit_engine::{Entry, Export};
    use quoit_ring::VnodeCount;
    use tempfile::TempDir;

    /// A member that has nothing, and an engine to take copies of.
    fn member(dir: &TempDir) -> (Taking, Engine) {
        let (theirs, mine) = (dir.path().join("theirs"), dir.path().join("mine"));
        let engine = open_engine(&theirs);
        let vnodes = VnodeCount::new(16).unwrap().iter().collect();
        engine.apply(vec![(1, Entry::Found(vnodes))]).unwrap();
        let options = TakingOptions {
            disk: Arc::new(RealDisk),
            data: mine.join("data"),
            identity: IDENTITY,
            tuning: Tuning::default(),
            spare: 0,
        };
        let taking = Taking::new(options, Arc::new(open_engine(&mine)));
        (taking, engine)
    }

    fn offer(export: &Export) -> v1::SnapshotOffer {
        v1::SnapshotOffer {
            export: export.number(),
            manifest: export.manifest().to_vec().into(),
            ..Default::default()
        }
    }

    /// The part of a copy that is wanted.
    fn chunk(export: &Export, wanted: v1::SnapshotPlace) -> v1::SnapshotChunk {
        let at = Place {
            part: wanted.part,
            offset: wanted.offset,
        };
        let Chunk { bytes, hash, .. } = export.read(at, 100).unwrap();
        v1::SnapshotChunk {
            export: export.number(),
            at: Some(wanted),
            bytes,
            hash,
            ..Default::default()
        }
    }

    /// What is wanted next; `None` when all was taken.
    fn wanted(answer: Answer) -> Option<v1::SnapshotPlace> {
        match answer.unwrap().kind.unwrap() {
            v1::snapshot_answer::Kind::Wants(place) => Some(place),
            v1::snapshot_answer::Kind::Taken(_) => None,
            v1::snapshot_answer::Kind::HigherVote(vote) => panic!("{vote:?}"),
        }
    }

    #[tokio::test]
    async fn the_same_copy_goes_on_where_it_was_and_another_begins_anew_in_its_place() {
        let dir = TempDir::new().unwrap();
        let (taking, engine) = member(&dir);
        let [first, other] = [1, 2].map(|number| engine.export(number, 0).unwrap());
        let begin = wanted(taking.offered(offer(&first)).await).unwrap();
        let next = wanted(taking.put(chunk(&first, begin)).await).unwrap();
        assert_ne!(next, begin);
        let again = wanted(taking.offered(offer(&first)).await);
        assert_eq!(again, Some(next));

        let anew = wanted(taking.offered(offer(&other)).await);
        assert_eq!(anew, Some(begin));
        let late = taking.put(chunk(&first, next)).await.unwrap_err();
        assert!(late.to_string().contains("offer it first"), "{late}");
        assert_eq!(
            wanted(taking.offered(offer(&other)).await),
            Some(begin),
            "what came late changed nothing"
        );
        assert!(!taking.is_whole());
    }

    #[tokio::test]
    async fn who_has_a_whole_copy_says_so_of_that_one_alone() {
        let dir = TempDir::new().unwrap();
        let (taking, engine) = member(&dir);
        let [first, other] = [1, 2].map(|number| engine.export(number, 0).unwrap());
        let begin = wanted(taking.offered(offer(&first)).await).unwrap();
        let mut next = Some(begin);
        while let Some(place) = next {
            next = wanted(taking.put(chunk(&first, place)).await);
        }
        assert!(taking.is_whole());
        // The answer may have been lost: who asks again is told the same.
        assert_eq!(wanted(taking.put(chunk(&first, begin)).await), None);
        assert_eq!(wanted(taking.offered(offer(&first)).await), None);
        // A leader that heard so of another copy would take it to have all of that.
        for answer in [
            taking.offered(offer(&other)).await,
            taking.put(chunk(&other, begin)).await,
            taking.offered(v1::SnapshotOffer::default()).await,
        ] {
            let error = answer.unwrap_err();
            assert!(matches!(error, PeerError::Unreachable(_)), "{error}");
            assert!(error.to_string().contains("another copy"), "{error}");
        }
    }
}
