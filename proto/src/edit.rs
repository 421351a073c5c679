//! Edits of payloads as they travel and as they are applied. What travels may
//! be anything: it is checked here, before it comes into a log.

use crate::v1;
use crate::v1::payload_edit::Kind;
use quoit_filter::{BadEdit, Edit, Path};

impl From<&Edit> for v1::PayloadEdit {
    fn from(edit: &Edit) -> Self {
        let kind = match edit {
            Edit::Set { at, values } => Kind::Set(v1::SetKeys {
                at: at.as_ref().map(Path::to_string).unwrap_or_default(),
                values: values.clone(),
            }),
            Edit::Replace(text) => Kind::Replace(text.clone()),
            Edit::Remove(paths) => Kind::Remove(v1::Paths {
                paths: paths.iter().map(Path::to_string).collect(),
            }),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<v1::PayloadEdit> for Edit {
    type Error = BadEdit;

    fn try_from(edit: v1::PayloadEdit) -> Result<Self, BadEdit> {
        let edit = match edit.kind {
            None => return Err(BadEdit::Unknown),
            Some(Kind::Set(v1::SetKeys { at, values })) => Self::Set {
                at: Some(at)
                    .filter(|at| !at.is_empty())
                    .map(|at| at.parse())
                    .transpose()?,
                values,
            },
            Some(Kind::Replace(text)) => Self::Replace(text),
            Some(Kind::Remove(v1::Paths { paths })) => {
                let paths = paths.iter().map(|path| path.parse());
                Self::Remove(paths.collect::<Result<_, _>>()?)
            }
        };
        edit.check()?;
        Ok(edit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_comes_back_as_it_was_sent() {
        for edit in [
            Edit::Replace("{\"a\":1}".into()),
            Edit::Replace(String::new()),
            Edit::Remove(vec![
                "a.b[]".parse().unwrap(),
                "\"c d\"[3]".parse().unwrap(),
            ]),
            Edit::Set {
                at: None,
                values: "{}".into(),
            },
            Edit::Set {
                at: Some("a.b".parse().unwrap()),
                values: "{\"x\":[1]}".into(),
            },
        ] {
            let wire = v1::PayloadEdit::from(&edit);
            assert_eq!(Edit::try_from(wire).unwrap(), edit);
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let set = |at: &str, values: &str| v1::PayloadEdit {
            kind: Some(Kind::Set(v1::SetKeys {
                at: at.into(),
                values: values.into(),
            })),
        };
        let deep = "[".repeat(64) + &"]".repeat(64);
        for edit in [
            v1::PayloadEdit { kind: None },
            set("a..b", "{}"),
            set("", "[]"),
            set("", "{"),
            set("a", &format!("{{\"x\":{deep}}}")),
            set(&vec!["a"; 65].join("."), "{}"),
            v1::PayloadEdit {
                kind: Some(Kind::Replace("7".into())),
            },
            v1::PayloadEdit {
                kind: Some(Kind::Remove(v1::Paths {
                    paths: vec!["[".into()],
                })),
            },
        ] {
            assert!(Edit::try_from(edit.clone()).is_err(), "{edit:?}");
        }
    }
}
