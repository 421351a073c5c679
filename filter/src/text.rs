//! Words in texts, for fields without a text index.

/// The words of a text: runs of letters and digits, in lower case.
pub fn tokens(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

pub fn has_all(text: &str, words: &str) -> bool {
    let there: Vec<String> = tokens(text).collect();
    let mut words = tokens(words).peekable();
    words.peek().is_some() && words.all(|word| there.contains(&word))
}

pub fn has_any(text: &str, words: &str) -> bool {
    let there: Vec<String> = tokens(text).collect();
    tokens(words).any(|word| there.contains(&word))
}

pub fn has_phrase(text: &str, phrase: &str) -> bool {
    let there: Vec<String> = tokens(text).collect();
    let phrase: Vec<String> = tokens(phrase).collect();
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
}
