//! What a program has seen of its collection, as it shows it to another that
//! cannot ask etcd. It decides what makes a picture: the ring, the wish and who has
//! registered at least, of the right collection, and all of it understood.

use crate::seen::{NotSeen, Seen};
use quoit_proto::v1::PictureResponse;
use quoit_ring::{BadValueName, Named, Revision, Ring, UnpackError, ValueName, Versioned};
use uuid::Uuid;

/// Why something is no picture of a collection.
#[derive(Debug, thiserror::Error)]
pub enum NotAPicture {
    /// It has what has no name of etcd's.
    #[error("it has a value that is none of a collection")]
    Name(#[from] BadValueName),
    /// The ring is none.
    #[error("its ring cannot be read")]
    Ring(#[from] UnpackError),
    /// The ring is that of another collection.
    #[error("it is of collection {found}, and this is collection {expected}")]
    Foreign {
        /// Whose it is.
        found: Uuid,
        /// Whose it should be.
        expected: Uuid,
    },
    /// It has no ring, or no wish.
    #[error("it has no {0}")]
    Lacks(&'static str),
    /// Something in it cannot be understood.
    #[error("it cannot be understood")]
    NotSeen(#[from] NotSeen),
}

/// What others are shown; `None` before the ring, the wish and the nodes were seen: who
/// is shown less reaches nobody.
#[must_use]
pub fn picture(seen: &Seen) -> Option<PictureResponse> {
    seen.ring().zip(seen.wish()).zip(seen.nodes())?;
    let value = |(name, bytes): (&ValueName, &Vec<u8>)| (name.as_str().to_owned(), bytes.clone());
    let values = seen.bytes().iter().map(value).collect();
    Some(PictureResponse { values })
}

/// What another has seen of this collection.
///
/// # Errors
/// See [`NotAPicture`].
pub fn of_picture(picture: PictureResponse, collection: Uuid) -> Result<Seen, NotAPicture> {
    let mut named = Named::new();
    for (name, value) in picture.values {
        // Nothing is written on the strength of it, so no revision is asked for.
        let revision = Revision(0);
        named.insert(ValueName::new(&name)?, Versioned { revision, value });
    }
    let ring = named.get(&ValueName::ring());
    let ring = Ring::from_bytes(&ring.ok_or(NotAPicture::Lacks("ring"))?.value)?;
    if ring.uid() != collection {
        return Err(NotAPicture::Foreign {
            found: ring.uid(),
            expected: collection,
        });
    }
    let mut seen = Seen::default();
    seen.see_ring(Some(ring))?;
    seen.see_wish(&named)?;
    seen.see_schema(&named)?;
    seen.see_nodes(&named)?;
    if seen.wish().is_none() {
        return Err(NotAPicture::Lacks("wish"));
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::tests::{UID, named, nodes, ring, wish};

    fn seen() -> Seen {
        let mut seen = Seen::default();
        seen.see_ring(Some(ring(7))).unwrap();
        seen.see_wish(&wish(3)).unwrap();
        seen.see_nodes(&nodes(&[(0, 4, 0), (1, 5, 0)])).unwrap();
        seen
    }

    #[test]
    fn who_is_shown_a_picture_sees_what_its_maker_saw_and_may_show_it_on() {
        let first = picture(&seen()).unwrap();
        let shown = of_picture(first.clone(), UID).unwrap();
        assert_eq!(shown.ring(), seen().ring());
        assert_eq!(shown.wish(), seen().wish());
        assert_eq!(shown.schema(), None);
        assert_eq!(shown.replicas(), seen().replicas());
        assert_eq!(picture(&shown).unwrap(), first);
    }

    #[test]
    fn what_a_newer_version_wrote_is_shown_as_it_was_written() {
        let text = String::from_utf8(wish(3)[&ValueName::wish()].value.clone()).unwrap();
        let newer = text.replacen('{', r#"{"moon": "full", "#, 1);
        let mut seen = seen();
        seen.see_wish(&named(&ValueName::wish(), newer.as_bytes()))
            .unwrap();
        let shown = picture(&seen).unwrap();
        assert_eq!(shown.values["wish"], newer.as_bytes());
    }

    #[test]
    fn there_is_no_picture_without_a_ring_a_wish_or_nodes() {
        let mut none = Seen::default();
        none.see_wish(&wish(3)).unwrap();
        none.see_nodes(&nodes(&[])).unwrap();
        assert_eq!(picture(&none), None, "without a ring");
        let mut none = Seen::default();
        none.see_ring(Some(ring(7))).unwrap();
        none.see_nodes(&nodes(&[])).unwrap();
        assert_eq!(picture(&none), None, "without a wish");
        let mut all = Seen::default();
        all.see_ring(Some(ring(7))).unwrap();
        all.see_wish(&wish(3)).unwrap();
        assert_eq!(picture(&all), None, "without nodes");
        all.see_nodes(&nodes(&[])).unwrap();
        assert!(picture(&all).is_some());
    }

    #[test]
    fn what_is_no_picture_of_this_collection_is_refused() {
        let good = picture(&seen()).unwrap();
        let refusal = |change: &dyn Fn(&mut PictureResponse), uid| {
            let mut picture = good.clone();
            change(&mut picture);
            of_picture(picture, uid).unwrap_err().to_string()
        };
        let set = |name: &'static str, value: &'static [u8]| {
            move |picture: &mut PictureResponse| {
                picture.values.insert(name.to_owned(), value.to_vec());
            }
        };
        let without = |name: &'static str| {
            move |picture: &mut PictureResponse| drop(picture.values.remove(name))
        };
        let other = Uuid::from_u128(8);
        assert!(refusal(&|_| {}, other).contains(&other.to_string()));
        assert_eq!(refusal(&without("ring"), UID), "it has no ring");
        assert_eq!(refusal(&without("wish"), UID), "it has no wish");
        assert!(refusal(&set("ring", b"?"), UID).contains("its ring"));
        for name in ["wish", "schema", "shards/0/nodes/9"] {
            let said = refusal(&set(name, b"?"), UID);
            assert!(said.contains("cannot be understood"), "{name}: {said}");
        }
        assert!(refusal(&set("../etc", b"?"), UID).contains("none of a collection"));
    }
}
