//! One replica's data, opened: who may change what, and in which order after a
//! restart. The steps themselves are in `writer`, `indexing`, `checkpoint` and
//! `reclaim`.
//!
//! Two locks. `indexing` is held for a whole step of indexing, checkpoint or
//! reclaim, so that these never meet; `writer`, taken inside it or alone, for
//! as long as an apply takes. Readers take none: they pin the published view.

use crate::checkpoint::{self, Saved};
use crate::entry::{Entry, Outcome};
use crate::error::{Error, Result};
use crate::indexing::Rebuild;
use crate::names::Name;
use crate::payload_indexes::PayloadIndexes;
use crate::rows::{self, Rows, RowsTuning, VnodeState};
use crate::saved_columns::SavedColumns;
use crate::slots::{Slot, SlotSet};
use crate::snapshot;
use crate::space::Space;
use crate::vectors::{Layout, Segment, Vectors};
use crate::view::View;
use crate::vnodes::VnodeTable;
use crate::writer::Writer;
use crate::{Identity, Params, Tuning};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use quoit_disk::Disk;
use quoit_ring::Vnode;
use roaring::RoaringBitmap;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One replica's data.
pub struct Engine {
    pub(crate) params: Arc<Params>,
    pub(crate) tuning: Tuning,
    pub(crate) identity: Identity,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) rows: Rows,
    pub(crate) writer: Mutex<Writer>,
    pub(crate) indexing: Mutex<Indexing>,
    view: ArcSwap<View>,
    /// Former views, of which some reader may use some still.
    retired: Mutex<Vec<Arc<View>>>,
}

/// What steps of indexing, checkpoint and reclaim know of each other.
#[derive(Default)]
pub(crate) struct Indexing {
    /// Of some names.
    pub(crate) rebuilds: BTreeMap<Name, Rebuild>,
    pub(crate) saved: Saved,
    /// Segments found empty, with the number of checkpoints made until then.
    pub(crate) emptied: BTreeMap<u32, u64>,
    /// A sync of vectors failed. What it was to make durable may be lost, and
    /// the next sync would not know of it.
    sync_failed: bool,
}

impl Indexing {
    /// The empty segments that cannot be removed because of some slots, those of a
    /// graph or of saved payload indexes.
    pub(crate) fn waiting_for<'a>(&'a self, slots: &'a SlotSet) -> impl Iterator<Item = u32> + 'a {
        let numbers = self.emptied.keys().copied();
        numbers.filter(|number| slots.len_of_segment(*number) > 0)
    }

    /// Whether what was synced so far can be relied on.
    pub(crate) fn check_syncs(&self, dir: &Path) -> Result<()> {
        if self.sync_failed {
            let what = "an earlier sync failed, and what was written before it may be lost: open this replica anew and replay the log";
            return Err(Error::file("rely on", dir)(std::io::Error::other(what)));
        }
        Ok(())
    }

    /// Syncs segments that were taken from the dirty ones.
    pub(crate) fn sync_all(&mut self, dirty: &[Arc<Segment>]) -> Result<()> {
        let synced = dirty.iter().try_for_each(|s| s.sync());
        self.sync_failed |= synced.is_err();
        synced
    }
}

/// Removes what a process left that was killed while it made a replica's row
/// store. The caller has shown that the log still has all that the replica was
/// ever told; one that has made a checkpoint is left alone.
///
/// # Errors
/// The store cannot be removed.
pub fn remove_unfinished(dir: &Path) -> Result<()> {
    if dir.join("manifest").exists() {
        return Ok(());
    }
    rows::remove(&dir.join("rows"))
}

impl Engine {
    /// Opens a replica's folder, creating it where it is new. The caller then
    /// replays the log from [`Engine::replay_from`]. Every file holds the
    /// replica's identity in its checksums: one of another replica, put in its
    /// place, is damage. First it ends what a crash left of [`adopt`](crate::adopt),
    /// and removes an install that was not adopted.
    ///
    /// # Errors
    /// Something stored is damaged or another's, or the disk failed.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        identity: Identity,
        params: Params,
        tuning: Tuning,
    ) -> Result<Self> {
        snapshot::settle(&*disk, dir)?;
        disk.create_dir_all(dir)
            .map_err(Error::file("create", dir))?;
        let params = Arc::new(params);
        let manifest = checkpoint::read_manifest(&*disk, dir, identity)?.unwrap_or_default();
        let rows_tuning = RowsTuning {
            cache_bytes: tuning.cache_bytes,
            memtable_bytes: tuning.memtable_bytes,
        };
        let rows = Rows::open(&dir.join("rows"), identity, rows_tuning)?;
        let replica = rows.replica()?;
        if replica.applied < manifest.applied {
            let what = format!(
                "the rows end at entry {}, the manifest at {}",
                replica.applied, manifest.applied
            );
            return Err(Error::damaged(dir, what));
        }
        let vnodes = VnodeTable::new(params.vnodes, rows.vnode_states()?);
        let columns = match &manifest.columns {
            Some(named) => SavedColumns::read(&*disk, dir, named)?,
            None => SavedColumns::default(),
        };
        let Shown {
            visible,
            edited,
            has,
            unchanged,
        } = shown(&rows, &vnodes, &params, &columns, dir)?;
        let payload_indexes = PayloadIndexes::restored(
            rows.schema()?,
            columns.columns,
            &unchanged,
            visible.len(),
            tuning.payload_index_bytes,
        );
        let vectors = Vectors::open(
            disk.clone(),
            &dir.join("vectors"),
            identity,
            Layout::new(&params.vectors),
            Slot(replica.next_slot),
            &visible,
        )?;
        checkpoint::remove_unnamed(&*disk, dir, &manifest)?;
        let mut saved = Saved {
            next_file: manifest.next_file(),
            columns: manifest.columns.clone(),
            // Which of them is not known any more.
            in_columns: match manifest.columns {
                Some(_) => vectors.segments().firsts(),
                None => SlotSet::default(),
            },
            applied: manifest.applied,
            ..Saved::default()
        };
        let mut spaces = Vec::with_capacity(params.vectors.len());
        for ((name, vector), has) in params.named().zip(has) {
            let graph = manifest.graphs.get(name.index()).cloned().flatten();
            let loaded = match &graph {
                Some(graph) => checkpoint::load_graph(&*disk, dir, vector, graph)?,
                None => None,
            };
            // Of one with other parameters the slots are not watched over, so the
            // next manifest must not name it.
            let (graph, named, in_graph) = match loaded {
                Some((loaded, slots)) => (Some(loaded), graph, slots),
                None => Default::default(),
            };
            saved.graphs.push((named, in_graph.clone()));
            spaces.push(Space::new(name, vector.clone(), has, graph, in_graph));
        }
        let writer = Writer {
            params: params.clone(),
            rows: rows.clone(),
            applied: replica.applied,
            vectors,
            vnodes,
            visible,
            edited,
            payload_indexes,
            spaces,
        };
        Ok(Self {
            view: ArcSwap::from_pointee(writer.picture()),
            retired: Mutex::default(),
            indexing: Mutex::new(Indexing {
                saved,
                ..Indexing::default()
            }),
            writer: Mutex::new(writer),
            params,
            tuning,
            identity,
            disk,
            dir: dir.to_owned(),
            rows,
        })
    }

    /// The collection's parameters.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The first log index that must be replayed after opening; the log may be
    /// cut before it.
    #[must_use]
    pub fn replay_from(&self) -> u64 {
        self.indexing.lock().saved.applied + 1
    }

    /// The log index up to which entries are applied.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.writer.lock().applied
    }

    /// Replays one entry of the log, in order from [`Engine::replay_from`].
    ///
    /// # Errors
    /// As [`Engine::apply`].
    pub fn replay(&self, index: u64, entry: Entry) -> Result<()> {
        let mut writer = self.writer.lock();
        if index <= writer.applied {
            return writer.redo(index, entry);
        }
        writer.apply(vec![(index, entry)], None)?;
        self.publish(&writer);
        Ok(())
    }

    /// Reads one vector of each segment, after the replay: files that are
    /// another replica's are found now, and not by a client's search.
    ///
    /// # Errors
    /// A segment is damaged or another's.
    pub fn probe(&self) -> Result<()> {
        let view = self.view();
        let firsts = view.visible.first_of_each_segment();
        firsts.into_iter().try_for_each(|slot| {
            let read = view.segments.numbers(slot);
            read.map(drop)
        })
    }

    /// Applies entries, in order and without a gap; entries that the log keeps
    /// at one index come in one call. When this returns, a new view shows them.
    /// For each entry, the outcomes of its vnodes in order.
    ///
    /// # Errors
    /// Nothing was applied. After a full disk the same entries may be tried
    /// again; otherwise the replica must stop.
    pub fn apply(&self, entries: Vec<(u64, Entry)>) -> Result<Vec<Vec<Outcome>>> {
        self.apply_all(entries, None)
    }

    /// As [`Engine::apply`], and keeps a note with the applied index, as one
    /// change: what the log's keeper must know of the entry that was applied
    /// last, also when the log no longer has it.
    ///
    /// # Errors
    /// As [`Engine::apply`].
    pub fn apply_noting(
        &self,
        entries: Vec<(u64, Entry)>,
        note: &[u8],
    ) -> Result<Vec<Vec<Outcome>>> {
        self.apply_all(entries, Some(note))
    }

    fn apply_all(
        &self,
        entries: Vec<(u64, Entry)>,
        note: Option<&[u8]>,
    ) -> Result<Vec<Vec<Outcome>>> {
        let mut writer = self.writer.lock();
        let outcomes = writer.apply(entries, note)?;
        self.publish(&writer);
        Ok(outcomes)
    }

    /// The last note; empty where there was none.
    ///
    /// # Errors
    /// The row cannot be read.
    pub fn note(&self) -> Result<Vec<u8>> {
        self.rows.note()
    }

    /// The newest view.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// A vnode's state.
    #[must_use]
    pub fn vnode_state(&self, vnode: Vnode) -> VnodeState {
        self.writer.lock().vnodes.get(vnode)
    }

    /// Whether it was ever given vnodes, if none at all.
    #[must_use]
    pub fn is_founded(&self) -> bool {
        self.writer.lock().vnodes.is_founded()
    }

    /// Shows that the row store still takes writes.
    ///
    /// # Errors
    /// It does not, since an earlier write failed: open the replica anew.
    pub fn check_rows(&self) -> Result<()> {
        self.rows.persist()
    }

    /// The free bytes of the disk that this replica is on.
    ///
    /// # Errors
    /// The operating system does not say.
    pub fn free_space(&self) -> Result<u64> {
        self.disk
            .free_space(&self.dir)
            .map_err(Error::file("measure the disk of", &self.dir))
    }

    pub(crate) fn publish(&self, writer: &Writer) {
        let former = self.view.swap(Arc::new(writer.picture()));
        self.retired.lock().push(former);
        self.free_views();
    }

    /// Frees the former views that no reader uses any more. To take a view's sets and
    /// indexes apart can take milliseconds: a reader who is the last to let go of it
    /// must not wait for that.
    pub(crate) fn free_views(&self) {
        // Nobody can come to use one again: only the newest is given out.
        let is_unused = |view: &mut Arc<View>| Arc::strong_count(view) == 1;
        let unused: Vec<_> = self.retired.lock().extract_if(.., is_unused).collect();
        drop(unused);
    }
}

/// What rows show of slots.
struct Shown {
    /// Slots that rows name.
    visible: SlotSet,
    /// Those of them beside whose vectors the seq is not the point's.
    edited: SlotSet,
    /// For each of the collection's vectors, those that have one.
    has: Vec<SlotSet>,
    /// Those of which the saved payload indexes know what is still so.
    unchanged: RoaringBitmap,
}

/// Also shows that the vnodes' counts are those of the
/// rows: a replica that lost rows must not serve what is left.
fn shown(
    rows: &Rows,
    vnodes: &VnodeTable,
    params: &Params,
    columns: &SavedColumns,
    dir: &Path,
) -> Result<Shown> {
    let mut shown = Shown {
        visible: SlotSet::default(),
        edited: SlotSet::default(),
        has: params.vectors.iter().map(|_| SlotSet::default()).collect(),
        unchanged: RoaringBitmap::new(),
    };
    let mut counts: BTreeMap<Vnode, u64> = BTreeMap::new();
    for row in rows.view().ids_from(None) {
        let (id, vnode, row) = row?;
        if !shown.visible.insert(row.slot) {
            return Err(Error::damaged(
                dir,
                format!("two rows name slot {}", row.slot.0),
            ));
        }
        if row.is_edited {
            shown.edited.insert(row.slot);
        }
        if columns.include(vnode, row.seq) {
            shown.unchanged.insert(row.slot.0);
        }
        if !params.names().contains_all(row.names) {
            let what = format!("point {id} has a vector of a name that the collection lacks");
            return Err(Error::damaged(dir, what));
        }
        for name in row.names.iter() {
            shown.has[name.index()].insert(row.slot);
        }
        *counts.entry(vnode).or_default() += 1;
    }
    for vnode in vnodes.readable().iter() {
        let (counted, kept) = (
            counts.get(&vnode).copied().unwrap_or(0),
            vnodes.get(vnode).count,
        );
        if counted != kept {
            let what = format!("vnode {} has {counted} rows and a count of {kept}", vnode.0);
            return Err(Error::damaged(dir, what));
        }
    }
    Ok(shown)
}
