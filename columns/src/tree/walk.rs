//! The entries of a tree one by one, up or down from any value.

use super::{Entry, Node, Tree};
use crate::key::Key;

/// Entries in ascending order.
pub struct Walk<'a, K> {
    /// From the root: a node, and what of it comes next.
    stack: Vec<(&'a Node<K>, usize)>,
}

/// Entries in descending order.
pub struct Back<'a, K> {
    /// From the root: a node, and how much of it is left.
    stack: Vec<(&'a Node<K>, usize)>,
}

impl<K: Key> Tree<K> {
    /// The entries from the first whose value is not before the wanted ones.
    pub fn walk(&self, before: impl Fn(&K) -> bool) -> Walk<'_, K> {
        let mut stack = Vec::new();
        let mut node = &*self.root;
        while let Node::Inner(children) = node {
            let after = children.partition_point(|c| before(&c.key));
            let at = after.saturating_sub(1);
            stack.push((node, at + 1));
            node = &children[at].node;
        }
        if let Node::Leaf(entries) = node {
            stack.push((node, entries.partition_point(|e| before(&e.key))));
        }
        Walk { stack }
    }

    /// The entries down from the last whose value is not after the wanted ones.
    pub fn back(&self, after: impl Fn(&K) -> bool) -> Back<'_, K> {
        let mut stack = Vec::new();
        let mut node = &*self.root;
        while let Node::Inner(children) = node {
            let end = children.partition_point(|c| !after(&c.key));
            let Some(at) = end.checked_sub(1) else {
                return Back { stack };
            };
            stack.push((node, at));
            node = &children[at].node;
        }
        if let Node::Leaf(entries) = node {
            stack.push((node, entries.partition_point(|e| !after(&e.key))));
        }
        Back { stack }
    }
}

impl<'a, K> Iterator for Walk<'a, K> {
    type Item = &'a Entry<K>;

    fn next(&mut self) -> Option<&'a Entry<K>> {
        loop {
            let (node, at) = self.stack.last_mut()?;
            *at += 1;
            match *node {
                Node::Leaf(entries) => {
                    if let Some(entry) = entries.get(*at - 1) {
                        return Some(entry);
                    }
                    self.stack.pop();
                }
                Node::Inner(children) => {
                    if let Some(child) = children.get(*at - 1) {
                        self.stack.push((&child.node, 0));
                    } else {
                        self.stack.pop();
                    }
                }
            }
        }
    }
}

impl<'a, K> Iterator for Back<'a, K> {
    type Item = &'a Entry<K>;

    fn next(&mut self) -> Option<&'a Entry<K>> {
        loop {
            let (node, left) = self.stack.last_mut()?;
            let Some(at) = left.checked_sub(1) else {
                self.stack.pop();
                continue;
            };
            *left = at;
            match *node {
                Node::Leaf(entries) => return entries.get(at),
                Node::Inner(children) => {
                    let below = &*children[at].node;
                    let len = match below {
                        Node::Leaf(entries) => entries.len(),
                        Node::Inner(children) => children.len(),
                    };
                    self.stack.push((below, len));
                }
            }
        }
    }
}
