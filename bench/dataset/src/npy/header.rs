//! The header of an array file: its length, and the dictionary in it, which
//! says what the values are. Only what `NumPy` itself writes is taken.

use std::io::{self, Read};

const MAGIC: &[u8] = b"\x93NUMPY";
/// Far beyond what two axes need: a longer header is damage.
const MAX_LEN: u32 = 64 << 10;

/// What a header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The type of a value, as `NumPy` writes it.
    pub(super) descr: String,
    /// Columns first, not rows.
    pub(super) fortran_order: bool,
    /// The length of each axis.
    pub(super) shape: Vec<usize>,
}

/// Reads the dictionary's text; the values come next. The outer error is of
/// reading, the inner one says what is wrong with what was read.
pub(super) fn text(input: &mut impl Read) -> io::Result<Result<String, String>> {
    let Some(start) = exactly(input, 8)? else {
        return Ok(Err("it is too short for a NumPy array".to_owned()));
    };
    if !start.starts_with(MAGIC) {
        return Ok(Err(
            "it is no NumPy array: it does not start as one".to_owned()
        ));
    }
    let size = match (start.get(6), start.get(7)) {
        (Some(1), Some(0)) => 2,
        (Some(2), Some(0)) => 4,
        (Some(major), Some(minor)) => {
            return Ok(Err(format!(
                "it is of format {major}.{minor}, and 1.0 and 2.0 are known"
            )));
        }
        _ => return Ok(Err("it has no version".to_owned())),
    };
    let cut = || Err("it ends inside its header".to_owned());
    let Some(len) = exactly(input, size)? else {
        return Ok(cut());
    };
    let len = len
        .iter()
        .rev()
        .fold(0, |len: u32, byte| (len << 8) | u32::from(*byte));
    if len > MAX_LEN {
        return Ok(Err(format!(
            "its header is said to be {len} bytes long: it is damaged"
        )));
    }
    let Some(text) = exactly(input, len)? else {
        return Ok(cut());
    };
    Ok(String::from_utf8(text).map_err(|_| "its header is no text".to_owned()))
}

/// Exactly `len` bytes, or nothing if there are fewer.
fn exactly(input: &mut impl Read, len: u32) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let got = input
        .by_ref()
        .take(u64::from(len))
        .read_to_end(&mut bytes)?;
    Ok((got as u64 == u64::from(len)).then_some(bytes))
}

impl Header {
    /// Reads `{'descr': '<f2', 'fortran_order': False, 'shape': (2, 3), }`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut rest = Rest(text);
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        rest.expect("{")?;
        while !rest.take("}") {
            let key = rest.quoted()?;
            rest.expect(":")?;
            let twice = match key {
                "descr" => descr.replace(rest.quoted()?.to_owned()).is_some(),
                "fortran_order" => fortran_order.replace(rest.truth()?).is_some(),
                "shape" => shape.replace(rest.tuple()?).is_some(),
                other => return Err(format!("its header has an unknown key {other:?}")),
            };
            if twice {
                return Err(format!("its header has {key:?} twice"));
            }
            if !rest.take(",") {
                rest.expect("}")?;
                break;
            }
        }
        rest.end()?;
        let lacks = |key| format!("its header lacks {key:?}");
        Ok(Self {
            descr: descr.ok_or_else(|| lacks("descr"))?,
            fortran_order: fortran_order.ok_or_else(|| lacks("fortran_order"))?,
            shape: shape.ok_or_else(|| lacks("shape"))?,
        })
    }
}

/// What of the text is not read yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn take(&mut self, token: &str) -> bool {
        match self.0.trim_start().strip_prefix(token) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) {
            Ok(())
        } else {
            Err(self.unexpected(&format!("{token:?}")))
        }
    }

    fn quoted(&mut self) -> Result<&'a str, String> {
        self.expect("'")?;
        let Some((word, rest)) = self.0.split_once('\'') else {
            return Err(self.unexpected("a closing quote"));
        };
        self.0 = rest;
        Ok(word)
    }

    fn truth(&mut self) -> Result<bool, String> {
        if self.take("True") {
            return Ok(true);
        }
        if self.take("False") {
            Ok(false)
        } else {
            Err(self.unexpected("True or False"))
        }
    }

    fn tuple(&mut self) -> Result<Vec<usize>, String> {
        self.expect("(")?;
        let mut numbers = Vec::new();
        while !self.take(")") {
            numbers.push(self.number()?);
            if !self.take(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(numbers)
    }

    fn number(&mut self) -> Result<usize, String> {
        let text = self.0.trim_start();
        let end = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (digits, rest) = text.split_at(end);
        let number = digits.parse().map_err(|_| self.unexpected("a length"))?;
        self.0 = rest;
        Ok(number)
    }

    fn end(&self) -> Result<(), String> {
        if self.0.trim_ascii().is_empty() {
            Ok(())
        } else {
            Err(self.unexpected("the end"))
        }
    }

    fn unexpected(&self, wanted: &str) -> String {
        let got: String = self.0.trim_start().chars().take(20).collect();
        format!("its header is damaged: {wanted} is wanted before {got:?}")
    }
}
