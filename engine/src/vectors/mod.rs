//! All vectors: which segment files there are, where a slot lies, and which slot
//! the next point gets. A slot holds all vectors of one version of a point.
//!
//! The set of segments is shared with every view that may read from it. A slot
//! is given out once and, after its whole segment was dropped, again only when
//! no view, graph or manifest can still mean the former vector by it.

mod layout;
mod segment;

pub use layout::Layout;
pub use segment::{Owner, Segment, file_len, stride};

use crate::Identity;
use crate::error::{Error, Result};
use crate::names::Name;
use crate::slots::{SLOTS_PER_SEGMENT, Slot, SlotSet};
use quoit_disk::Disk;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The segments as a view sees them: cheap to clone, never changed.
#[derive(Clone)]
pub struct Segments {
    layout: Arc<Layout>,
    by_number: Arc<Vec<Option<Arc<Segment>>>>,
}

impl Segments {
    fn of(&self, slot: Slot) -> Result<(&Segment, usize)> {
        let number = (slot.0 / SLOTS_PER_SEGMENT) as usize;
        match self.by_number.get(number) {
            Some(Some(segment)) => Ok((segment, (slot.0 % SLOTS_PER_SEGMENT) as usize)),
            _ => Err(Error::damaged(
                format!("vector segment {number}"),
                format!("slot {} is in use but its segment is not there", slot.0),
            )),
        }
    }

    /// One of the vectors in a slot; without meaning where the slot lacks it.
    ///
    /// # Errors
    /// The slot's bytes are damaged or its segment is gone.
    pub fn vector(&self, slot: Slot, name: Name) -> Result<&[f32]> {
        Ok(&self.numbers(slot)?[self.layout.place(name)])
    }

    /// All numbers in a slot.
    ///
    /// # Errors
    /// The slot's bytes are damaged or its segment is gone.
    pub fn numbers(&self, slot: Slot) -> Result<&[f32]> {
        let (segment, within) = self.of(slot)?;
        segment.numbers(within)
    }

    /// All bytes of a slot, as another replica may have them.
    ///
    /// # Errors
    /// The slot's bytes are damaged or its segment is gone.
    pub fn bytes(&self, slot: Slot) -> Result<&[u8]> {
        let (segment, within) = self.of(slot)?;
        segment.bytes(within)
    }

    /// Only the segments that have such slots.
    #[must_use]
    pub fn only(&self, slots: &SlotSet) -> Self {
        let kept = (0_u32..)
            .zip(self.by_number.iter())
            .map(|(number, segment)| {
                let is_kept = slots.len_of_segment(number) > 0;
                segment.as_ref().filter(|_| is_kept).cloned()
            });
        Self {
            layout: self.layout.clone(),
            by_number: Arc::new(kept.collect()),
        }
    }

    /// Where in a slot each vector lies.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whose vector a slot holds.
    ///
    /// # Errors
    /// The slot's bytes are damaged or its segment is gone.
    pub fn owner(&self, slot: Slot) -> Result<Owner> {
        let (segment, within) = self.of(slot)?;
        segment.owner(within)
    }

    /// The seq of the change that brought the vector in a slot. A search takes
    /// it from here: a look into the rows costs more than all else it does
    /// with a hit.
    ///
    /// # Errors
    /// The slot's bytes are damaged or its segment is gone.
    pub fn seq(&self, slot: Slot) -> Result<u64> {
        let (segment, within) = self.of(slot)?;
        segment.seq(within)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.iter().count() as u64
    }

    /// The first slot of each, whether it is in use or not.
    #[must_use]
    pub fn firsts(&self) -> SlotSet {
        let mut slots = SlotSet::default();
        for (number, _) in self.iter() {
            slots.insert(Slot(number * SLOTS_PER_SEGMENT));
        }
        slots
    }

    fn iter(&self) -> impl Iterator<Item = (u32, &Arc<Segment>)> {
        (0_u32..)
            .zip(self.by_number.iter())
            .filter_map(|(n, s)| Some((n, s.as_ref()?)))
    }
}

/// The writer's side of the vectors.
pub struct Vectors {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    identity: Identity,
    segments: Segments,
    /// Dropped segments that a view may still read; their numbers rest.
    resting: BTreeMap<u32, Arc<Segment>>,
    /// Segments written to since they were last synced.
    dirty: BTreeMap<u32, Arc<Segment>>,
    next: Slot,
}

impl Vectors {
    /// Opens all segments of a folder, creating the folder where it is new.
    /// `next` is the slot that the next vector gets, `visible` are those that
    /// rows name.
    ///
    /// # Errors
    /// A file cannot be opened, is none of ours, or is missing.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        identity: Identity,
        layout: Layout,
        next: Slot,
        visible: &SlotSet,
    ) -> Result<Self> {
        disk.create_dir_all(dir)
            .map_err(Error::file("create", dir))?;
        let len = layout.len();
        let mut by_number = Vec::new();
        for path in disk.list(dir).map_err(Error::file("list", dir))? {
            let number = number_of(&path)
                .ok_or_else(|| Error::damaged(&path, "not a segment of vectors"))?;
            // One whose creation was cut short by a full disk must not need
            // room now, or nothing could be read until there is some.
            if visible.len_of_segment(number) == 0 && Segment::is_short(&*disk, &path, len)? {
                disk.remove(&path).map_err(Error::file("remove", &path))?;
                continue;
            }
            if by_number.len() <= number as usize {
                by_number.resize(number as usize + 1, None);
            }
            let segment = Segment::open(&*disk, &path, identity, len)?;
            by_number[number as usize] = Some(Arc::new(segment));
        }
        for number in 0..visible.segments() {
            let used = visible.len_of_segment(number);
            if used > 0 && !matches!(by_number.get(number as usize), Some(Some(_))) {
                let what = format!("it is missing, and {used} rows name vectors in it");
                return Err(Error::damaged(segment_path(dir, number), what));
            }
        }
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            identity,
            segments: Segments {
                layout: Arc::new(layout),
                by_number: Arc::new(by_number),
            },
            resting: BTreeMap::new(),
            dirty: BTreeMap::new(),
            next,
        })
    }

    /// The segments, for a view.
    #[must_use]
    pub fn segments(&self) -> &Segments {
        &self.segments
    }

    /// The slot that the next vector gets.
    #[must_use]
    pub fn next(&self) -> Slot {
        self.next
    }

    /// Writes a point's vectors into a slot of their own.
    ///
    /// # Errors
    /// The disk is full or cannot be written; no slot was taken.
    pub fn push(&mut self, numbers: &[f32], owner: Owner, seq: u64) -> Result<Slot> {
        let slot = self.next;
        self.put(slot, numbers, owner, seq)?;
        self.next = if (slot.0 + 1).is_multiple_of(SLOTS_PER_SEGMENT) {
            self.first_slot_of_a_free_number()
        } else {
            Slot(slot.0 + 1)
        };
        Ok(slot)
    }

    /// Gives the slots from `next` on out again: nothing came to name them.
    pub fn rewind(&mut self, next: Slot) {
        self.next = next;
    }

    /// Writes vectors into a slot that they were given before: the replay of an
    /// entry whose rows survived a power cut and whose vectors may not have.
    ///
    /// # Errors
    /// The disk is full or cannot be written.
    pub fn put(&mut self, slot: Slot, numbers: &[f32], owner: Owner, seq: u64) -> Result<()> {
        let number = slot.0 / SLOTS_PER_SEGMENT;
        let segment = self.segment_to_write(number)?;
        segment.write((slot.0 % SLOTS_PER_SEGMENT) as usize, numbers, owner, seq)?;
        self.dirty.insert(number, segment);
        Ok(())
    }

    fn segment_to_write(&mut self, number: u32) -> Result<Arc<Segment>> {
        if let Some(Some(segment)) = self.segments.by_number.get(number as usize) {
            return Ok(segment.clone());
        }
        let path = segment_path(&self.dir, number);
        let segment = Segment::open(
            &*self.disk,
            &path,
            self.identity,
            self.segments.layout.len(),
        )?;
        // Before any row can name a slot in it, or a power cut would leave
        // rows whose file was never there.
        self.disk
            .sync_dir(&self.dir)
            .map_err(Error::file("sync", &self.dir))?;
        let segment = Arc::new(segment);
        let mut by_number = (*self.segments.by_number).clone();
        if by_number.len() <= number as usize {
            by_number.resize(number as usize + 1, None);
        }
        by_number[number as usize] = Some(segment.clone());
        self.segments.by_number = Arc::new(by_number);
        Ok(segment)
    }

    fn first_slot_of_a_free_number(&mut self) -> Slot {
        // A view holds the segments it can read; alone here means unread.
        self.resting
            .retain(|_, segment| Arc::strong_count(segment) > 1);
        let taken = |n: u32| {
            self.resting.contains_key(&n)
                || matches!(self.segments.by_number.get(n as usize), Some(Some(_)))
        };
        let last = u32::MAX / SLOTS_PER_SEGMENT;
        let number = (0..last).find(|n| !taken(*n)).unwrap_or(last);
        Slot(number * SLOTS_PER_SEGMENT)
    }

    /// The segments that were written since they were last synced, to be
    /// synced without the writer's lock.
    pub fn take_dirty(&mut self) -> Vec<Arc<Segment>> {
        std::mem::take(&mut self.dirty).into_values().collect()
    }

    /// Makes all that was written durable, before anything can name it: for
    /// vectors that no replay could bring back.
    ///
    /// # Errors
    /// The operating system could not. What was written may be lost, and a later
    /// sync would not know of it: the replica must be opened anew. So that is
    /// never the error of a full disk, after which writes are tried again.
    pub fn sync_now(&mut self) -> Result<()> {
        for segment in self.dirty.values() {
            segment.sync().map_err(|error| {
                let path = segment.path().to_owned();
                Error::file("sync", path)(std::io::Error::other(error))
            })?;
        }
        self.dirty.clear();
        Ok(())
    }

    /// Every full segment's number: all but the one that the next vector goes to.
    #[must_use]
    pub fn full_segments(&self) -> Vec<u32> {
        let writing = self.next.0 / SLOTS_PER_SEGMENT;
        let numbers = self.segments.iter().map(|(n, _)| n);
        numbers.filter(|n| *n != writing).collect()
    }

    /// Removes a segment's file. The caller has shown that no row, no graph and
    /// no manifest names one of its slots.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn drop_segment(&mut self, number: u32) -> Result<()> {
        let mut by_number = (*self.segments.by_number).clone();
        let Some(Some(segment)) = by_number.get_mut(number as usize).map(Option::take) else {
            return Ok(());
        };
        let path = segment.path().to_owned();
        match self.disk.remove(&path) {
            // An earlier call came this far and no farther.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            other => other.map_err(Error::file("remove", &path))?,
        }
        self.disk
            .sync_dir(&self.dir)
            .map_err(Error::file("sync", &self.dir))?;
        self.segments.by_number = Arc::new(by_number);
        self.dirty.remove(&number);
        self.resting.insert(number, segment);
        Ok(())
    }
}

/// Where in the folder of vectors a segment is.
#[must_use]
pub fn segment_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:08}.seg"))
}

fn number_of(path: &Path) -> Option<u32> {
    path.file_name()?
        .to_str()?
        .strip_suffix(".seg")?
        .parse()
        .ok()
}
