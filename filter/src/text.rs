//! Which words a text has, and whether it has those of a condition. Conditions
//! are always compared by the default analyzer, so an index of another one
//! cannot answer them.

use unicode_segmentation::UnicodeSegmentation;

/// How a text is taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tokenizer {
    /// Runs of letters and digits.
    Word,
    /// What lies between white space.
    Whitespace,
    /// The beginnings of each word of `Word`, so many characters long.
    Prefix {
        /// The shortest.
        min: usize,
        /// The longest.
        max: usize,
    },
    /// Words as Unicode finds their borders in any script (UAX 29).
    Multilingual,
}

/// Which words a text has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Analyzer {
    /// How it is taken apart.
    pub tokenizer: Tokenizer,
    /// Whether words are put in lower case.
    pub lowercase: bool,
    /// What has fewer characters is left out.
    pub min_token_len: usize,
    /// What has more characters is left out.
    pub max_token_len: usize,
}

impl Default for Analyzer {
    fn default() -> Self {
        Self {
            tokenizer: Tokenizer::Word,
            lowercase: true,
            min_token_len: 1,
            max_token_len: usize::MAX,
        }
    }
}

impl Analyzer {
    /// The words of a text, in order.
    #[must_use]
    pub fn tokens(&self, text: &str) -> Vec<String> {
        let words = || text.split(|c: char| !c.is_alphanumeric());
        let mut found = Vec::new();
        match self.tokenizer {
            Tokenizer::Word => words().for_each(|word| self.add(word, &mut found)),
            Tokenizer::Whitespace => {
                let words = text.split_whitespace();
                words.for_each(|word| self.add(word, &mut found));
            }
            Tokenizer::Multilingual => {
                let words = text.unicode_words();
                words.for_each(|word| self.add(word, &mut found));
            }
            Tokenizer::Prefix { min, max } => {
                for word in words() {
                    let ends = word.char_indices().map(|(at, c)| at + c.len_utf8());
                    for end in ends.take(max).skip(min.saturating_sub(1)) {
                        self.add(&word[..end], &mut found);
                    }
                }
            }
        }
        found
    }

    fn add(&self, word: &str, found: &mut Vec<String>) {
        let len = word.chars().count();
        if len > 0 && (self.min_token_len..=self.max_token_len).contains(&len) {
            found.push(if self.lowercase {
                word.to_lowercase()
            } else {
                word.to_owned()
            });
        }
    }
}

/// The words of a text as conditions compare them: runs of letters and digits,
/// in lower case.
#[must_use]
pub fn tokens(text: &str) -> Vec<String> {
    Analyzer::default().tokens(text)
}

pub fn has_all(text: &str, words: &str) -> bool {
    let (there, words) = (tokens(text), tokens(words));
    !words.is_empty() && words.iter().all(|word| there.contains(word))
}

pub fn has_any(text: &str, words: &str) -> bool {
    let there = tokens(text);
    tokens(words).iter().any(|word| there.contains(word))
}

pub fn has_phrase(text: &str, phrase: &str) -> bool {
    let (there, phrase) = (tokens(text), tokens(phrase));
    !phrase.is_empty() && there.windows(phrase.len()).any(|part| part == phrase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_whole_in_any_order_and_case() {
        let text = "Music-player: for the TERMINAL (v2.1), größer";
        assert!(has_all(text, "terminal music") && has_all(text, "GRÖßER v2"));
        assert!(!has_all(text, "term"));
        assert!(!has_all(text, "music video") && has_any(text, "music video"));
        assert!(has_phrase(text, "the terminal") && !has_phrase(text, "terminal the"));
        for nothing in ["", " -, "] {
            assert!(
                !has_all(text, nothing) && !has_any(text, nothing) && !has_phrase(text, nothing)
            );
        }
    }

    #[test]
    fn each_tokenizer_takes_a_text_apart_in_its_own_way() {
        let of = |tokenizer, text| {
            let analyzer = Analyzer {
                tokenizer,
                ..Analyzer::default()
            };
            analyzer.tokens(text)
        };
        let text = "Can't  stop, v2.1";
        assert_eq!(of(Tokenizer::Word, text), ["can", "t", "stop", "v2", "1"]);
        assert_eq!(of(Tokenizer::Whitespace, text), ["can't", "stop,", "v2.1"]);
        let beginnings = of(Tokenizer::Prefix { min: 2, max: 3 }, "größe a stop");
        assert_eq!(beginnings, ["gr", "grö", "st", "sto"]);
        let unicode = of(Tokenizer::Multilingual, "Can't stop 東京");
        assert_eq!(unicode, ["can't", "stop", "東", "京"]);
    }

    #[test]
    fn words_of_another_length_are_left_out_and_case_may_be_kept() {
        let analyzer = Analyzer {
            lowercase: false,
            min_token_len: 2,
            max_token_len: 4,
            ..Analyzer::default()
        };
        assert_eq!(
            analyzer.tokens("I am Größ and Größe"),
            ["am", "Größ", "and"]
        );
        assert_eq!(tokens("I am"), ["i", "am"]);
    }
}
