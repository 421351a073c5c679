//! Which words a text has, and whether it has those of a condition. A condition
//! on a field with an index of texts takes words as the index does; on others it
//! takes runs of letters and digits, in lower case.

use unicode_segmentation::UnicodeSegmentation;

/// How a text is taken apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tokenizer {
    /// Runs of letters and digits.
    #[default]
    Word,
    /// What lies between white space.
    Whitespace,
    /// The beginnings of each word of `Word`, from the least length of words to
    /// the greatest. What is sought is found where a word begins with it.
    Prefix,
    /// Words as Unicode finds their borders in any script (UAX 29).
    Multilingual,
}

/// Beginnings of words are at most so many characters long: a text of one long
/// word has as many of them, all together as long as its length squared.
pub const MAX_PREFIX: usize = 64;

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
            tokenizer: Tokenizer::default(),
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
        let mut found = Vec::new();
        if self.tokenizer == Tokenizer::Prefix {
            let (least, most) = self.beginnings();
            for word in self.words(text) {
                let ends = word.char_indices().map(|(at, c)| at + c.len_utf8());
                for end in ends.take(most).skip(least - 1) {
                    found.push(self.cased(&word[..end]));
                }
            }
        } else {
            found.extend(self.words(text).into_iter().map(|word| self.cased(word)));
        }
        found
    }

    /// The words of a text that are to be found among those of others.
    fn sought(&self, text: &str) -> Vec<String> {
        if self.tokenizer != Tokenizer::Prefix {
            return self.tokens(text);
        }
        let (least, most) = self.beginnings();
        let words = self.words(text).into_iter();
        let long_enough = words.filter(|word| word.chars().count() >= least);
        let cut = |word: &str| self.cased(&word.chars().take(most).collect::<String>());
        long_enough.map(cut).collect()
    }

    /// The least and the greatest length of beginnings.
    fn beginnings(&self) -> (usize, usize) {
        (
            self.min_token_len.max(1),
            self.max_token_len.min(MAX_PREFIX),
        )
    }

    /// The parts of a text, those of the right length; of beginnings the words
    /// that they are of.
    fn words<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let parts: Box<dyn Iterator<Item = &'a str>> = match self.tokenizer {
            Tokenizer::Word | Tokenizer::Prefix => {
                Box::new(text.split(|c: char| !c.is_alphanumeric()))
            }
            Tokenizer::Whitespace => Box::new(text.split_whitespace()),
            Tokenizer::Multilingual => Box::new(text.unicode_words()),
        };
        let any = self.tokenizer == Tokenizer::Prefix;
        let lengths = self.min_token_len.max(1)..=self.max_token_len;
        let fits =
            |word: &&str| !word.is_empty() && (any || lengths.contains(&word.chars().count()));
        parts.filter(fits).collect()
    }

    fn cased(&self, word: &str) -> String {
        if self.lowercase {
            word.to_lowercase()
        } else {
            word.to_owned()
        }
    }
}

/// Words that a test looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// The words, as they were sent.
    pub text: String,
    /// How they and the stored texts are taken apart.
    pub analyzer: Analyzer,
}

impl From<&str> for Words {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for Words {
    fn from(text: String) -> Self {
        let analyzer = Analyzer::default();
        Self { text, analyzer }
    }
}

impl Words {
    /// What is looked for among the words of a text.
    #[must_use]
    pub fn sought(&self) -> Vec<String> {
        self.analyzer.sought(&self.text)
    }

    pub(crate) fn are_all_in(&self, text: &str) -> bool {
        let (there, sought) = (self.analyzer.tokens(text), self.sought());
        !sought.is_empty() && sought.iter().all(|word| there.contains(word))
    }

    pub(crate) fn is_one_in(&self, text: &str) -> bool {
        let there = self.analyzer.tokens(text);
        self.sought().iter().any(|word| there.contains(word))
    }

    pub(crate) fn are_in_order_in(&self, text: &str) -> bool {
        let sought = self.sought();
        if sought.is_empty() {
            return false;
        }
        if self.analyzer.tokenizer != Tokenizer::Prefix {
            let there = self.analyzer.tokens(text);
            return there.windows(sought.len()).any(|part| part == sought);
        }
        // The beginnings of one word would lie between those of two others.
        let words = self.analyzer.words(text).into_iter();
        let words: Vec<String> = words.map(|word| self.analyzer.cased(word)).collect();
        words.windows(sought.len()).any(|part| {
            let mut both = part.iter().zip(&sought);
            both.all(|(word, sought)| word.starts_with(sought.as_str()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tokenizer: Tokenizer) -> Analyzer {
        Analyzer {
            tokenizer,
            ..Analyzer::default()
        }
    }

    fn words(text: &str, analyzer: Analyzer) -> Words {
        let text = text.to_owned();
        Words { text, analyzer }
    }

    #[test]
    fn words_are_found_whole_in_any_order_and_case() {
        let text = "Music-player: for the TERMINAL (v2.1), größer";
        let has_all = |sought: &str| Words::from(sought).are_all_in(text);
        let has_any = |sought: &str| Words::from(sought).is_one_in(text);
        let has_phrase = |sought: &str| Words::from(sought).are_in_order_in(text);
        assert!(has_all("terminal music") && has_all("GRÖßER v2"));
        assert!(!has_all("term"));
        assert!(!has_all("music video") && has_any("music video"));
        assert!(has_phrase("the terminal") && !has_phrase("terminal the"));
        for nothing in ["", " -, "] {
            assert!(!has_all(nothing) && !has_any(nothing) && !has_phrase(nothing));
        }
    }

    #[test]
    fn each_tokenizer_takes_a_text_apart_in_its_own_way() {
        let text = "Can't  stop, v2.1";
        for (tokenizer, tokens) in [
            (Tokenizer::Word, &["can", "t", "stop", "v2", "1"][..]),
            (Tokenizer::Whitespace, &["can't", "stop,", "v2.1"]),
        ] {
            assert_eq!(of(tokenizer).tokens(text), tokens);
        }
        let prefix = Analyzer {
            min_token_len: 2,
            max_token_len: 3,
            ..of(Tokenizer::Prefix)
        };
        assert_eq!(prefix.tokens("größe a stop"), ["gr", "grö", "st", "sto"]);
        let unicode = of(Tokenizer::Multilingual).tokens("Can't stop 東京");
        assert_eq!(unicode, ["can't", "stop", "東", "京"]);
    }

    #[test]
    fn beginnings_find_the_words_that_begin_with_them() {
        let prefix = Analyzer {
            min_token_len: 2,
            max_token_len: 5,
            ..of(Tokenizer::Prefix)
        };
        let text = "The Terminal player";
        for (sought, all, one, in_order) in [
            ("term", true, true, true),
            // What is longer than any beginning is cut.
            ("terminator", true, true, true),
            ("erm", false, false, false),
            ("play ter", true, true, false),
            ("ter play", true, true, true),
            ("the play", true, true, false),
            // What is shorter than any does not count.
            ("t play", true, true, true),
            ("t", false, false, false),
        ] {
            let words = words(sought, prefix);
            let found = (
                words.are_all_in(text),
                words.is_one_in(text),
                words.are_in_order_in(text),
            );
            assert_eq!(found, (all, one, in_order), "{sought}");
        }
    }

    #[test]
    fn a_long_word_has_few_beginnings() {
        let tokens = of(Tokenizer::Prefix).tokens(&"é".repeat(100_000));
        assert_eq!(tokens.len(), MAX_PREFIX);
    }

    #[test]
    fn words_of_another_length_are_left_out_and_case_may_be_kept() {
        let analyzer = Analyzer {
            lowercase: false,
            min_token_len: 2,
            max_token_len: 4,
            ..Analyzer::default()
        };
        let text = "I am Größ and Größe";
        assert_eq!(analyzer.tokens(text), ["am", "Größ", "and"]);
        assert!(words("I am", analyzer).are_all_in(text));
        assert!(!words("größ", analyzer).are_all_in(text));
        assert!(!words("Größe", analyzer).is_one_in(text));
        assert_eq!(Words::from("I am").sought(), ["i", "am"]);
    }
}
