//! What is wrong with a specification, said so that its author can repair it:
//! which field, what is the matter, what to do.

use std::fmt::{self, Display};

/// One step from a value to a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// The value of a key.
    Key(String),
    /// An item of a list, counted from 0.
    Item(usize),
}

/// Where a value is in a `VectorCollection`: `spec.vectors[0].dimension`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldPath(Vec<Segment>);

impl FieldPath {
    /// The path of the whole object.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// The path of `spec`.
    #[must_use]
    pub fn spec() -> Self {
        Self::root().key("spec")
    }

    /// The path of a key's value in the value here.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.join(Segment::Key(key.to_owned()))
    }

    /// The path of an item in the list here.
    #[must_use]
    pub fn item(&self, index: usize) -> Self {
        self.join(Segment::Item(index))
    }

    /// The steps from the whole object to the value.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    fn join(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }
}

impl Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the document");
        }
        for (index, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if index == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Item(item) => write!(f, "[{item}]")?,
            }
        }
        Ok(())
    }
}

/// One rule broken, in one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    path: FieldPath,
    problem: String,
    remedy: String,
}

impl Violation {
    /// `problem` goes on from the path (`is 0`), `remedy` is an order (`set it
    /// to …`).
    #[must_use]
    pub fn new(path: FieldPath, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            path,
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }

    pub(crate) fn out_of_range(
        path: FieldPath,
        value: impl Display,
        min: impl Display,
        max: impl Display,
    ) -> Self {
        Self::new(
            path,
            format!("is {value}"),
            format!("set it to a whole number from {min} to {max}"),
        )
    }

    pub(crate) fn not_one_of(path: FieldPath, value: impl Display, choices: &[String]) -> Self {
        Self::new(
            path,
            format!("is {value}"),
            format!("use {}", alternatives(choices)),
        )
    }

    /// The field.
    #[must_use]
    pub fn path(&self) -> &FieldPath {
        &self.path
    }

    /// What is the matter with it.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// What to do.
    #[must_use]
    pub fn remedy(&self) -> &str {
        &self.remedy
    }
}

impl Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.path, self.problem, self.remedy)
    }
}

/// A specification that breaks rules: all of them that it breaks, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(Vec<Violation>);

impl Invalid {
    /// `Ok` if there are none.
    pub(crate) fn unless_empty(violations: Vec<Violation>) -> Result<(), Self> {
        if violations.is_empty() {
            Ok(())
        } else {
            Err(Self(violations))
        }
    }

    /// The rules that it breaks.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.0
    }
}

impl Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{violation}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

/// `a`, `a or b`, `a, b or c`.
pub(crate) fn alternatives(choices: &[String]) -> String {
    match choices {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
