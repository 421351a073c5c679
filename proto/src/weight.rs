//! How much memory the decoded form of a message may take, decided before it is
//! decoded: an element of a list can be two bytes on the wire and some hundred
//! in memory, and what is only checked afterwards has taken them already.
//!
//! [`Room`] is the bound, the same for messages and for bodies of JSON;
//! [`Request::check`] walks the bytes of a message and counts its parts, along the
//! descriptors of the services for clients.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use prost::{Message, Name};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

use crate::{CLIENT_DESCRIPTORS, v1};

/// What any request may take, however small: the parts of a request without
/// long vectors are many times their bytes.
const FIXED: usize = 8 << 20;

/// How many times its bytes a request may take beyond that.
const TIMES: usize = 4;

/// What each of those messages needs that come in lists.
static IN_LISTS: [(&str, usize); 8] = [
    of::<v1::Condition>(".quoit.v1.Condition"),
    of::<v1::GeoPoint>(".quoit.v1.GeoPoint"),
    of::<v1::GeoRing>(".quoit.v1.GeoRing"),
    of::<v1::PointId>(".quoit.v1.PointId"),
    of::<v1::PointInput>(".quoit.v1.PointInput"),
    of::<v1::PointSearch>(".quoit.v1.PointSearch"),
    of::<v1::PointVectors>(".quoit.v1.PointVectors"),
    of::<v1::Vector>(".quoit.v1.Vector"),
];

const fn of<M>(name: &'static str) -> (&'static str, usize) {
    (name, size_of::<M>())
}

/// What a text in a list is taken to need, with the least that is allocated.
const TEXT: usize = 40;

/// What an integer in a list needs.
const INTEGER: usize = 8;

/// Messages in messages are decoded so deep and no deeper.
const MAX_DEPTH: usize = 100;

/// The parts of a request need more memory than it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "too many parts: decoded, a request of {bytes} bytes may take {} bytes of memory: send several with fewer points, conditions, searches or operations each",
    allowed(*.bytes)
)]
pub struct TooHeavy {
    /// The size of the request as it came.
    pub bytes: usize,
}

const fn allowed(bytes: usize) -> usize {
    FIXED.saturating_add(bytes.saturating_mul(TIMES))
}

/// The memory that a request may yet take.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    bytes: usize,
    left: usize,
}

impl Room {
    /// That of a request of so many bytes.
    #[must_use]
    pub const fn of(bytes: usize) -> Self {
        let left = allowed(bytes);
        Self { bytes, left }
    }

    /// Counts a part of the request.
    ///
    /// # Errors
    /// There is not so much left.
    pub const fn take(&mut self, bytes: usize) -> Result<(), TooHeavy> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(TooHeavy { bytes: self.bytes }),
        }
    }
}

/// What a field of length-delimited bytes is.
#[derive(Clone, Copy)]
enum Part {
    /// A message of the kind at this place of the table, and what it needs: none
    /// if it is by itself in another, since it is a part of that one.
    Message(usize, usize),
    /// One text, or some bytes, of a list.
    Text,
    /// Integers of a list, one behind the other.
    Integers,
}

/// The kinds of messages of the services for clients.
struct Kinds {
    /// Of each kind, its fields that are parts, by their numbers.
    fields: Vec<Vec<Option<Part>>>,
    /// All, by name.
    places: HashMap<String, usize>,
    /// Those that clients send.
    requests: HashSet<usize>,
}

/// The descriptors are compiled in, and the tests below read them: that they cannot
/// be decoded is what no running program meets.
static KINDS: LazyLock<Kinds> =
    LazyLock::new(|| kinds(&FileDescriptorSet::decode(CLIENT_DESCRIPTORS).unwrap_or_default()));

fn kinds(set: &FileDescriptorSet) -> Kinds {
    fn add<'a>(
        scope: &str,
        messages: &'a [DescriptorProto],
        all: &mut Vec<(String, &'a DescriptorProto)>,
    ) {
        for message in messages {
            let name = format!("{scope}.{}", message.name());
            add(&name, &message.nested_type, all);
            all.push((name, message));
        }
    }
    let mut all = Vec::new();
    for file in &set.file {
        add(
            &format!(".{}", file.package()),
            &file.message_type,
            &mut all,
        );
    }
    let places = all.iter().enumerate();
    let places = places.map(|(place, (name, _))| (name.as_str(), place));
    let places: HashMap<&str, usize> = places.collect();
    let part = |field: &FieldDescriptorProto| {
        let is_list = field.label() == Label::Repeated;
        Some(match field.r#type() {
            Type::Message => {
                let listed = IN_LISTS.iter().find(|(name, _)| *name == field.type_name());
                let size = listed.filter(|_| is_list).map_or(0, |(_, size)| *size);
                Part::Message(*places.get(field.type_name())?, size)
            }
            Type::String | Type::Bytes if is_list => Part::Text,
            Type::Sint64 | Type::Uint32 if is_list => Part::Integers,
            _ => return None,
        })
    };
    let fields = |(_, message): &(String, &DescriptorProto)| {
        let mut parts = Vec::new();
        for field in &message.field {
            let number = usize::try_from(field.number()).unwrap_or(0);
            parts.resize(parts.len().max(number + 1), None);
            parts[number] = part(field);
        }
        parts
    };
    let services = set.file.iter().flat_map(|file| &file.service);
    let methods = services.flat_map(|service| &service.method);
    let requests = methods.filter_map(|method| places.get(method.input_type()).copied());
    Kinds {
        fields: all.iter().map(fields).collect(),
        requests: requests.collect(),
        places: places
            .iter()
            .map(|(name, place)| (name.trim_start_matches('.').to_owned(), *place))
            .collect(),
    }
}

/// A kind of message that clients send.
#[derive(Clone, Copy, Debug)]
pub struct Request(usize);

impl Request {
    /// The kind of this full name, with its package; none if no client sends it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let place = KINDS.places.get(name)?;
        KINDS.requests.contains(place).then_some(Self(*place))
    }

    /// Shows that a message of this kind may be decoded.
    ///
    /// # Errors
    /// Decoded it would take too much memory.
    pub fn check(self, message: &[u8]) -> Result<(), TooHeavy> {
        let mut room = Room::of(message.len());
        walk(self.0, message, MAX_DEPTH, &mut room)
    }
}

/// About how much memory a message takes, for who keeps many copies of it: its
/// bytes and its parts, if it is a message that clients can send.
#[must_use]
pub fn weight<M: Message + Name>(message: &M) -> usize {
    let bytes = message.encode_to_vec();
    let Some(kind) = KINDS.places.get(&M::full_name()) else {
        return bytes.len();
    };
    let mut room = Room {
        bytes: 0,
        left: usize::MAX,
    };
    match walk(*kind, &bytes, MAX_DEPTH, &mut room) {
        Ok(()) => bytes.len().saturating_add(usize::MAX - room.left),
        Err(TooHeavy { .. }) => usize::MAX,
    }
}

/// Counts the parts of a message as far as it can be read: the decoder stops
/// where this does, and says why.
fn walk(kind: usize, mut bytes: &[u8], depth: usize, room: &mut Room) -> Result<(), TooHeavy> {
    while let Some((field, value)) = next(&mut bytes) {
        let part = KINDS.fields[kind].get(field as usize).copied().flatten();
        match part {
            Some(Part::Message(inner, size)) => {
                room.take(size)?;
                if let Some(value) = value.filter(|_| depth > 0) {
                    walk(inner, value, depth - 1, room)?;
                }
            }
            Some(Part::Text) => room.take(TEXT)?,
            Some(Part::Integers) => {
                // In each of them the last byte alone has no high bit.
                let ends = |bytes: &[u8]| bytes.iter().filter(|byte| **byte < 0x80).count();
                room.take(INTEGER * value.map_or(1, ends))?;
            }
            None => {}
        }
    }
    Ok(())
}

/// The number of the next field, and its bytes if it has a length.
fn next<'a>(bytes: &mut &'a [u8]) -> Option<(u32, Option<&'a [u8]>)> {
    let key = varint(bytes)?;
    let field = u32::try_from(key >> 3).ok()?;
    let value = match key & 7 {
        0 => varint(bytes).map(|_| None)?,
        1 => bytes.split_off(..8).map(|_| None)?,
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            Some(bytes.split_off(..length)?)
        }
        // A group: its fields are read as if they were the message's own, which
        // counts too many parts and never too few.
        3 | 4 => None,
        5 => bytes.split_off(..4).map(|_| None)?,
        _ => return None,
    };
    Some((field, value))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    prost::decode_length_delimiter(&mut *bytes)
        .ok()
        .map(|n| n as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked<M: Message + Name>(message: &M) -> Result<(), TooHeavy> {
        let request = Request::named(&M::full_name());
        request.map_or(Ok(()), |request| request.check(&message.encode_to_vec()))
    }

    fn many<T: Clone + Default>(count: usize) -> Vec<T> {
        vec![T::default(); count]
    }

    #[test]
    fn every_kind_of_part_is_counted_before_it_is_decoded() {
        let import = |points| v1::ImportPointsRequest {
            points,
            ..Default::default()
        };
        assert_eq!(checked(&import(many(10_000))), Ok(()));
        assert!(checked(&import(many(100_000))).is_err());
        let conditions = |must| v1::CountPointsRequest {
            filter: Some(v1::Filter {
                must,
                ..Default::default()
            }),
            ..Default::default()
        };
        assert_eq!(checked(&conditions(many(4_096))), Ok(()));
        assert!(checked(&conditions(many(200_000))).is_err());
        let searches = v1::SearchPointsBatchRequest {
            searches: many(100_000),
            ..Default::default()
        };
        assert!(checked(&searches).is_err());
        let keys = v1::EditPayloadRequest {
            edit: Some(v1::PayloadEdit {
                kind: Some(v1::payload_edit::Kind::Remove(v1::Paths {
                    paths: many(1_000_000),
                })),
            }),
            ..Default::default()
        };
        assert!(checked(&keys).is_err());
        let any = |count| v1::CountPointsRequest {
            filter: Some(v1::Filter {
                must: vec![v1::Condition {
                    kind: Some(v1::condition::Kind::Field(v1::FieldCondition {
                        path: "a".to_owned(),
                        test: Some(v1::field_condition::Test::Any(v1::Scalars {
                            integers: vec![0; count],
                            ..Default::default()
                        })),
                    })),
                }],
                ..Default::default()
            }),
            ..Default::default()
        };
        assert_eq!(checked(&any(200_000)), Ok(()));
        assert!(checked(&any(3_000_000)).is_err());
    }

    #[test]
    fn as_many_points_as_a_collection_can_allow_are_let_through() {
        let point = v1::PointInput {
            id: Some(quoit_ring::PointId::Num(1_000_000).into()),
            vector: vec![0.5],
            ..Default::default()
        };
        let upsert = v1::UpsertPointsRequest {
            collection: "docs".to_owned(),
            points: vec![point; 100_000],
            ..Default::default()
        };
        assert_eq!(checked(&upsert), Ok(()));
    }

    #[test]
    fn the_size_of_every_message_that_comes_in_lists_is_known() {
        let set = FileDescriptorSet::decode(CLIENT_DESCRIPTORS).unwrap();
        let kinds = kinds(&set);
        let all = set.file.iter().flat_map(|file| &file.message_type);
        let all: HashMap<String, &DescriptorProto> = all
            .map(|m| (format!(".quoit.v1.{}", m.name()), m))
            .collect();
        let names = kinds.places.iter();
        let requests = names.filter(|(_, place)| kinds.requests.contains(place));
        let mut left: Vec<String> = requests.map(|(name, _)| format!(".{name}")).collect();
        let mut seen = HashSet::new();
        let mut listed = HashSet::new();
        while let Some(name) = left.pop() {
            for field in &all[&name].field {
                if field.r#type() == Type::Message {
                    if field.label() == Label::Repeated {
                        listed.insert(field.type_name().to_owned());
                    }
                    if seen.insert(field.type_name()) {
                        left.push(field.type_name().to_owned());
                    }
                }
            }
        }
        let known = IN_LISTS.map(|(name, _)| name.to_owned());
        assert_eq!(listed, known.into_iter().collect());
    }

    #[test]
    fn what_is_hidden_in_a_group_is_counted_too() {
        let hidden = v1::ImportPointsRequest {
            points: many(100_000),
            ..Default::default()
        };
        // Field 15 begins a group, and ends it.
        let message = [&[0x7b][..], &hidden.encode_to_vec(), &[0x7c]].concat();
        let request = Request::named("quoit.v1.ImportPointsRequest").unwrap();
        assert!(request.check(&message).is_err());
    }

    #[test]
    fn what_shards_answer_may_be_of_any_size() {
        let hits = v1::SearchPointsResponse {
            points: many(1_000_000),
            ..Default::default()
        };
        assert_eq!(checked(&hits), Ok(()));
    }
}
