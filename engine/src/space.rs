//! The vectors of one name: which points have one, and which of them the graph
//! has. What is visible of a point at all is not decided here.

use crate::VectorParams;
use crate::index::Graph;
use crate::names::Name;
use crate::slots::{Slot, SlotSet};
use std::sync::Arc;

/// The writer's side.
pub struct Space {
    pub(crate) name: Name,
    pub(crate) params: VectorParams,
    /// Visible slots that have such a vector.
    pub(crate) has: SlotSet,
    /// Those of them that are not in the graph.
    pub(crate) tail: SlotSet,
    pub(crate) graph: Option<Arc<Graph>>,
    pub(crate) in_graph: SlotSet,
    pub(crate) dead_in_graph: u64,
}

/// The same as a view sees it.
pub struct SpaceView {
    /// Visible slots that have such a vector.
    pub(crate) has: SlotSet,
    /// Those of them that are not in the graph: searched by an exact scan.
    pub(crate) tail: SlotSet,
    pub(crate) graph: Option<Arc<Graph>>,
    /// The graph's slots that are not visible.
    pub(crate) dead_in_graph: u64,
}

impl Space {
    /// Of slots that are visible, and a graph that was loaded.
    pub fn new(
        name: Name,
        params: VectorParams,
        has: SlotSet,
        graph: Option<Arc<Graph>>,
        in_graph: SlotSet,
    ) -> Self {
        Self {
            name,
            params,
            tail: has.difference(&in_graph),
            dead_in_graph: in_graph.difference(&has).len(),
            has,
            graph,
            in_graph,
        }
    }

    /// A slot came to have a vector.
    pub fn show(&mut self, slot: Slot) {
        self.has.insert(slot);
        if !self.in_graph.contains(slot) {
            self.tail.insert(slot);
        }
    }

    /// A slot's vector counts no more, if it had one.
    pub fn hide(&mut self, slot: Slot) {
        if self.has.remove(slot) && !self.tail.remove(slot) && self.in_graph.contains(slot) {
            self.dead_in_graph += 1;
        }
    }

    /// What is applied, for a view.
    pub fn picture(&self) -> SpaceView {
        SpaceView {
            has: self.has.clone(),
            tail: if self.params.index.is_some() {
                self.tail.clone()
            } else {
                SlotSet::default()
            },
            graph: self.graph.clone(),
            dead_in_graph: self.dead_in_graph,
        }
    }
}
