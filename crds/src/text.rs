//! Which words the index of a text field has.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::tidy;

/// The longest word that a bound can be set on.
pub const MAX_TOKEN_LEN: u32 = 1024;

/// The longest beginning of a word that the tokenizer prefix makes.
pub const MAX_PREFIX: u32 = 64;

/// Which words a text has. Conditions on the field take words in the same way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = tidy)]
#[x_kube(validation = Rule::new("!has(self.maxTokenLen) || self.minTokenLen <= self.maxTokenLen")
    .message("minTokenLen is more than maxTokenLen: lower it, or raise maxTokenLen")
    .field_path(".minTokenLen"))]
#[x_kube(validation = Rule::new("self.tokenizer != 'prefix' || self.minTokenLen <= 64")
    .message("minTokenLen is more than 64, the longest beginning of a word: lower it, or choose another tokenizer")
    .field_path(".minTokenLen"))]
pub struct TextAnalysis {
    /// How texts are taken apart: word (runs of letters and digits), whitespace (what lies between
    /// white space), prefix (words by their beginnings, so that "term" finds "terminal"), or
    /// multilingual (words as Unicode finds their borders in any script). Default: word.
    #[serde(default)]
    pub tokenizer: TextTokenizer,

    /// Whether words are compared in lower case. Default: true.
    #[serde(default = "yes")]
    pub lowercase: bool,

    /// Words of fewer characters are left out; with the tokenizer prefix, the shortest beginning, at
    /// most 64. From 1 to 1024. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = MAX_TOKEN_LEN))]
    pub min_token_len: u32,

    /// Words of more characters are left out; with the tokenizer prefix, the longest beginning, at
    /// most 64. From 1 to 1024. Default: no bound, and 64 with the tokenizer prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MAX_TOKEN_LEN))]
    pub max_token_len: Option<u32>,
}

/// How texts are taken apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TextTokenizer {
    /// Runs of letters and digits.
    #[default]
    Word,
    /// What lies between white space.
    Whitespace,
    /// Words by their beginnings.
    Prefix,
    /// Words as Unicode finds their borders in any script.
    Multilingual,
}

impl Default for TextAnalysis {
    fn default() -> Self {
        Self {
            tokenizer: TextTokenizer::default(),
            lowercase: yes(),
            min_token_len: one(),
            max_token_len: None,
        }
    }
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}
