//! Reading `VectorCollection`s from a YAML file, for `-f`. What comes out
//! keeps every rule; what does not keep them is refused with the file, line and
//! column, the field, what is wrong and what to do, for all of it at once.

use std::fmt;

use kube::Resource;
use serde_json::Value;

use crate::collection::VectorCollection;
use crate::name::CollectionName;
use crate::structure::{self, Finding};
use crate::validate::quoted;
use crate::violation::{FieldPath, Segment, Violation};
use crate::yaml::{self, NotYaml, Part};

#[cfg(test)]
mod tests;

/// A place in a text, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// A rule broken in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, as near as it is known.
    pub position: Option<Position>,
    /// What.
    pub violation: Violation,
}

/// A file from which no collection could be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// It is not YAML.
    #[error("{}{message}", Place(file, position.as_ref()))]
    Syntax {
        /// The file's name.
        file: String,
        /// Where reading stopped.
        position: Option<Position>,
        /// What is wrong and what to do.
        message: String,
    },
    /// It has no document.
    #[error("{file}: the file is empty: write a VectorCollection in it")]
    Empty {
        /// The file's name.
        file: String,
    },
    /// It breaks rules.
    #[error("{}", Listing(file, problems))]
    Invalid {
        /// The file's name.
        file: String,
        /// Every rule broken, at least one.
        problems: Vec<Problem>,
    },
}

struct Place<'a>(&'a str, Option<&'a Position>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(Position { line, column }) => write!(f, "{}:{line}:{column}: ", self.0),
            None => write!(f, "{}: ", self.0),
        }
    }
}

struct Listing<'a>(&'a str, &'a [Problem]);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// A person repairs these first; and a file of nothing but mistakes
        /// must not fill the screen.
        const SHOWN: usize = 20;
        for (index, problem) in self.1.iter().take(SHOWN).enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            let place = Place(self.0, problem.position.as_ref());
            write!(f, "{place}{}", problem.violation)?;
        }
        match self.1.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n{}: and {more} more", self.0),
        }
    }
}

/// So many problems of a file get a place: to find one is to read the text once
/// more, and a file that is nothing but mistakes has one every few bytes.
const PLACED: usize = 40;

/// Reads every `VectorCollection` of a YAML text, in order, at least one.
///
/// Beyond the rules of [`VectorCollectionSpec`](crate::VectorCollectionSpec),
/// names must be such that [Kubernetes takes them](CollectionName::check_kubernetes),
/// so that a file that works on a laptop works on a cluster.
///
/// # Errors
/// Says what is wrong, where, and what to do. Then nothing of the file counts.
pub fn load(text: &str, file_name: &str) -> Result<Vec<VectorCollection>, LoadError> {
    let file = file_name.to_owned();
    let documents = match yaml::documents(text) {
        Ok(documents) => documents,
        Err(NotYaml { position, message }) => {
            return Err(LoadError::Syntax {
                file,
                position,
                message,
            });
        }
    };
    let mut collections = Vec::new();
    let mut problems = Vec::new();
    for (number, document) in documents.iter().enumerate() {
        if document.is_null() {
            continue;
        }
        match read(document.clone()) {
            Ok(collection) => collections.push(collection),
            Err(findings) => {
                for (violation, part) in findings {
                    let position = if problems.len() < PLACED {
                        locate(text, number, document, violation.path(), part)
                    } else {
                        None
                    };
                    problems.push(Problem {
                        position,
                        violation,
                    });
                }
            }
        }
    }
    if !problems.is_empty() {
        problems.sort_by_key(|problem| (problem.position.is_none(), problem.position));
        return Err(LoadError::Invalid { file, problems });
    }
    if collections.is_empty() {
        return Err(LoadError::Empty { file });
    }
    Ok(collections)
}

fn read(mut document: Value) -> Result<VectorCollection, Vec<Finding>> {
    // First, because all else would be wrong too in an object of another kind.
    let mut findings = wrong_kind(&document);
    if !findings.is_empty() {
        return Err(findings);
    }
    findings = structure::check(&mut document);
    findings.extend(wrong_metadata(&document));
    if !findings.is_empty() {
        return Err(findings);
    }
    let collection: VectorCollection = match serde_json::from_value(document) {
        Ok(collection) => collection,
        Err(error) => {
            // The checks above leave nothing that could come here; if one ever
            // misses something, this says so rather than nothing.
            let violation = Violation::new(
                FieldPath::root(),
                format!("can't be read ({error})"),
                "compare it with config/samples/collection-full.yaml",
            );
            return Err(vec![(violation, Part::Value)]);
        }
    };
    match collection.spec.validate() {
        Ok(()) => Ok(collection),
        Err(invalid) => Err(by_value(invalid.violations().to_vec())),
    }
}

fn by_value(violations: Vec<Violation>) -> Vec<Finding> {
    let findings = violations.into_iter();
    findings.map(|violation| (violation, Part::Value)).collect()
}

fn wrong_kind(document: &Value) -> Vec<Finding> {
    if !document.is_object() {
        let violation = Violation::new(
            FieldPath::root(),
            "is no mapping",
            "write apiVersion, kind, metadata and spec, each on a line of its own",
        );
        return by_value(vec![violation]);
    }
    let wanted = [
        ("apiVersion", VectorCollection::api_version(&())),
        ("kind", VectorCollection::kind(&())),
    ];
    let violations = wanted.into_iter().filter_map(|(key, wanted)| {
        let problem = match document.get(key) {
            Some(Value::String(given)) if *given == wanted => return None,
            Some(Value::String(given)) => format!("is {}", quoted(given)),
            Some(other) => format!("is {other}"),
            None => "is missing".to_owned(),
        };
        let path = FieldPath::root().key(key);
        Some(Violation::new(
            path,
            problem,
            format!("write {key}: {wanted}"),
        ))
    });
    by_value(violations.collect())
}

fn wrong_metadata(document: &Value) -> Vec<Finding> {
    let path = FieldPath::root().key("metadata");
    let metadata = match document.get("metadata") {
        // Of another type: the schema's check has said so.
        Some(other) if !other.is_object() => return Vec::new(),
        Some(metadata) => metadata,
        None => &Value::Null,
    };
    let name = match metadata.get("name") {
        Some(Value::String(name)) => {
            let checked = CollectionName::new(name).and_then(|name| name.check_kubernetes());
            checked.map_err(|bad| Violation::new(path.key("name"), bad.problem(), bad.remedy()))
        }
        None | Some(Value::Null) => Err(Violation::new(
            path.key("name"),
            "is missing",
            "give the collection a name, such as docs",
        )),
        Some(other) => Err(Violation::new(
            path.key("name"),
            format!("is {other}"),
            "give a name in quotes, starting with a letter",
        )),
    };
    if let Err(violation) = name {
        return by_value(vec![violation]);
    }
    let known = serde_json::from_value::<k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta>(
        metadata.clone(),
    );
    let violation = known.err().map(|error| {
        Violation::new(
            path,
            format!("is not as Kubernetes has it ({error})"),
            "put the values of labels and annotations in quotes",
        )
    });
    by_value(violation.into_iter().collect())
}

fn locate(
    text: &str,
    number: usize,
    document: &Value,
    path: &FieldPath,
    part: Part,
) -> Option<Position> {
    let segments = path.segments();
    let value = segments
        .iter()
        .try_fold(document, |value, segment| match segment {
            Segment::Key(key) => value.get(key),
            Segment::Item(index) => value.get(index),
        });
    // A list or a mapping begins on the line after its key: the key is the
    // better place to look at.
    let part = match (value, segments.last()) {
        (Some(Value::Array(_) | Value::Object(_)), Some(Segment::Key(_))) => Part::Key,
        _ => part,
    };
    yaml::locate(text, number, segments, part)
}
