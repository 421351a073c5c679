//! Mutations of text by its lines and pieces: what grows by being repeated is
//! found sooner than byte by byte.

use libfuzzer_sys::fuzzer_mutate;

use crate::dice::Dice;

/// For `fuzz_mutator!`: changes `data[..size]`, answers the new size.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut dice = Dice::new(seed);
    if size == 0 || dice.below(2) == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let text = &data[..size];
    let (from, to) = piece(text, &mut dice);
    let new = match dice.below(4) {
        // A piece, many times where it is.
        0 | 1 => {
            let room = (max_size.saturating_sub(size) / (to - from).max(1)).max(1);
            let times = dice.times(13).min(room);
            [&text[..from], &text[from..to].repeat(times), &text[to..]].concat()
        }
        // A piece, elsewhere too.
        2 => {
            let at = border(text, &mut dice);
            [&text[..at], &text[from..to], &text[at..]].concat()
        }
        _ => [&text[..from], &text[to..]].concat(),
    };
    if new.len() > max_size {
        return fuzzer_mutate(data, size, max_size);
    }
    data[..new.len()].copy_from_slice(&new);
    new.len()
}

/// From where to where a piece goes.
fn piece(text: &[u8], dice: &mut Dice) -> (usize, usize) {
    let (one, other) = (border(text, dice), border(text, dice));
    (one.min(other), one.max(other))
}

/// A place between two characters; often one where lines or words begin.
fn border(text: &[u8], dice: &mut Dice) -> usize {
    let at = dice.below(text.len() + 1);
    let is_end = |byte: &u8| match dice.below(8) {
        0 => true,
        1..5 => b",[]{}:- \n".contains(byte),
        _ => *byte == b'\n',
    };
    let after = text[at..].iter().position(is_end);
    after.map_or(at, |after| at + after + 1).min(text.len())
}
