//! A filter with the words of its tests as the indexes of their fields take them.

use crate::{Analyzer, Condition, Filter, Path, Test, Words};

impl Filter {
    /// The same filter, its words taken apart as the fields' analyzers do;
    /// `None` leaves them as they are.
    #[must_use]
    pub fn analyzed(&self, of: &impl Fn(&Path) -> Option<Analyzer>) -> Self {
        let mut filter = self.clone();
        analyze(&mut filter, None, of);
        filter
    }
}

/// `array` is where the objects are that the filter is about.
fn analyze(filter: &mut Filter, array: Option<&Path>, of: &impl Fn(&Path) -> Option<Analyzer>) {
    let at = |path: &Path| array.map_or_else(|| path.clone(), |array| array.each(path));
    let some = filter.min_should.iter_mut();
    let conditions = filter.must.iter_mut();
    let conditions = conditions.chain(&mut filter.should);
    let conditions = conditions.chain(&mut filter.must_not);
    for condition in conditions.chain(some.flat_map(|some| &mut some.conditions)) {
        match condition {
            Condition::Field { path, test } => {
                if let Some(words) = words(test)
                    && let Some(analyzer) = of(&at(path))
                {
                    words.analyzer = analyzer;
                }
            }
            Condition::Nested { path, filter } => analyze(filter, Some(&at(path)), of),
            Condition::Filter(filter) => analyze(filter, array, of),
            Condition::HasId(_) | Condition::Slice(_) | Condition::HasVector(_) => {}
        }
    }
}

fn words(test: &mut Test) -> Option<&mut Words> {
    match test {
        Test::Text(words) | Test::TextAny(words) | Test::Phrase(words) => Some(words),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MinShould, Tokenizer};

    #[test]
    fn words_are_taken_as_their_fields_do_wherever_they_are_in_a_filter() {
        let prefix = Analyzer {
            tokenizer: Tokenizer::Prefix,
            ..Analyzer::default()
        };
        let text = |path: &str, analyzer| Condition::Field {
            path: path.parse().unwrap(),
            test: Test::Text(Words {
                text: "w".into(),
                analyzer,
            }),
        };
        let with = |analyzer| {
            let nested = Filter {
                must_not: vec![text("b", analyzer)],
                ..Filter::default()
            };
            Filter {
                must: vec![text("a", Analyzer::default())],
                should: vec![
                    Condition::Nested {
                        path: "list[].in".parse().unwrap(),
                        filter: Box::new(nested.clone()),
                    },
                    Condition::Filter(Box::new(Filter {
                        min_should: Some(MinShould {
                            conditions: vec![text("c", analyzer)],
                            min_count: 1,
                        }),
                        ..Filter::default()
                    })),
                ],
                ..Filter::default()
            }
        };
        let indexed = ["list[].in[].b", "c"].map(|p| p.parse::<Path>().unwrap());
        let of = |path: &Path| indexed.contains(path).then_some(prefix);
        assert_eq!(with(Analyzer::default()).analyzed(&of), with(prefix));
    }
}
