//! Mutations of protobuf messages that keep them messages: a byte changed at
//! random mostly breaks the lengths of all messages around it. An input is a
//! byte that says which message it is, then the message.

use libfuzzer_sys::fuzzer_mutate;

use crate::dice::Dice;

/// Deeper than any decoder goes.
const DEPTH: usize = 120;

#[derive(Clone)]
enum Content {
    Number(u64),
    Fixed64([u8; 8]),
    Fixed32([u8; 4]),
    Text(Vec<u8>),
    Message(Vec<Field>),
}

#[derive(Clone)]
struct Field {
    number: u64,
    content: Content,
}

/// For `fuzz_mutator!`: changes `data[..size]`, answers the new size.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut dice = Dice::new(seed);
    if dice.below(4) == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let new = data[..size].split_first().and_then(|(first, message)| {
        let mut fields = parse(message, DEPTH)?;
        for _ in 0..=dice.below(3) {
            change(&mut fields, &mut dice);
        }
        let mut new = vec![*first];
        write(&fields, &mut new);
        (new.len() <= max_size).then_some(new)
    });
    let Some(new) = new else {
        return fuzzer_mutate(data, size, max_size);
    };
    data[..new.len()].copy_from_slice(&new);
    new.len()
}

/// For `fuzz_crossover!`: puts a part of one input into another.
pub fn cross(one: &[u8], other: &[u8], out: &mut [u8], seed: u32) -> usize {
    let mut dice = Dice::new(seed);
    let new = one.split_first().zip(other.get(1..));
    let new = new.and_then(|((first, one), other)| {
        let (mut fields, mut others) = (parse(one, DEPTH)?, parse(other, DEPTH)?);
        let part = some_field(&mut others, &mut dice)?.clone();
        let list = some_list(&mut fields, &mut dice);
        let at = dice.below(list.len() + 1);
        list.insert(at, part);
        let mut new = vec![*first];
        write(&fields, &mut new);
        (new.len() <= out.len()).then_some(new)
    });
    let new = new.unwrap_or_else(|| one[..one.len().min(out.len())].to_vec());
    out[..new.len()].copy_from_slice(&new);
    new.len()
}

fn change(fields: &mut Vec<Field>, dice: &mut Dice) {
    match dice.below(8) {
        0 => {
            let list = some_list(fields, dice);
            if !list.is_empty() {
                list.remove(dice.below(list.len()));
            }
        }
        1 => {
            let list = some_list(fields, dice);
            if !list.is_empty() {
                let one = list[dice.below(list.len())].clone();
                let times = dice.times(9);
                if times * size_of_all(std::slice::from_ref(&one)) < 16_384 {
                    list.extend(std::iter::repeat_n(one, times));
                }
            }
        }
        2 => {
            let part = some_field(fields, dice).map(|field| field.clone());
            let list = some_list(fields, dice);
            list.extend(part);
        }
        3 => {
            let number = 1 + dice.below(17) as u64;
            let content = match dice.below(5) {
                0 => Content::Number(some_number(dice)),
                1 => Content::Fixed64(some_float(dice).to_le_bytes()),
                2 => {
                    #[allow(clippy::cast_possible_truncation, reason = "any number will do")]
                    let float = some_float(dice) as f32;
                    Content::Fixed32(float.to_le_bytes())
                }
                3 => Content::Text(some_text(dice)),
                _ => Content::Message(Vec::new()),
            };
            some_list(fields, dice).push(Field { number, content });
        }
        4 => {
            if let Some(field) = some_field(fields, dice) {
                field.number = 1 + dice.below(17) as u64;
            }
        }
        5 => deepen(fields, dice),
        _ => {
            if let Some(field) = some_field(fields, dice) {
                match &mut field.content {
                    Content::Number(number) => *number = some_number(dice),
                    Content::Fixed64(bytes) => *bytes = some_float(dice).to_le_bytes(),
                    Content::Fixed32(bytes) => *bytes = (some_float(dice) as f32).to_le_bytes(),
                    Content::Text(text) => *text = some_text(dice),
                    Content::Message(_) => field.content = Content::Text(some_text(dice)),
                }
            }
        }
    }
}

/// Puts a message into a place inside itself, again and again.
fn deepen(fields: &mut Vec<Field>, dice: &mut Dice) {
    let times = dice.times(7);
    let Some(field) = some_field(fields, dice) else {
        return;
    };
    let pattern = field.clone();
    let step = depth_of(std::slice::from_ref(&pattern));
    let seed = u32::try_from(dice.below(1 << 20)).unwrap_or(0);
    let mut depth = step;
    for _ in 0..times {
        depth += step;
        if depth > DEPTH || size_of_all(std::slice::from_ref(field)) > 16_384 {
            break;
        }
        let inner = std::mem::replace(field, pattern.clone());
        // The same place each time.
        let Content::Message(list) = &mut field.content else {
            return;
        };
        some_list(list, &mut Dice::new(seed)).push(inner);
    }
}

fn some_number(dice: &mut Dice) -> u64 {
    *dice.pick(&[
        0,
        1,
        2,
        3,
        5,
        63,
        64,
        100,
        1 << 16,
        u64::from(u32::MAX),
        1 << 40,
        1 << 63,
        u64::MAX,
    ])
}

fn some_float(dice: &mut Dice) -> f64 {
    let all = [
        0.0,
        -0.0,
        1.0,
        -1.5,
        90.0,
        180.0,
        1e-40,
        1e39,
        f64::MAX,
        f64::INFINITY,
        f64::NAN,
    ];
    *dice.pick(&all)
}

fn some_text(dice: &mut Dice) -> Vec<u8> {
    let all: [&[u8]; 14] = [
        b"",
        b"a",
        b"docs",
        b"two",
        b"text",
        b"image",
        b"a.b",
        b"a[].b[0]",
        b"{}",
        b"{\"a\":[1,{\"b\":null}]}",
        b"2024-02-29T12:00:00Z",
        &[7; 16],
        b"\xff",
        b"[[[[",
    ];
    dice.pick(&all).to_vec()
}

fn count(fields: &[Field]) -> usize {
    let inner = |field: &Field| match &field.content {
        Content::Message(fields) => 1 + count(fields),
        _ => 1,
    };
    fields.iter().map(inner).sum()
}

fn depth_of(fields: &[Field]) -> usize {
    let inner = |field: &Field| match &field.content {
        Content::Message(fields) => 1 + depth_of(fields),
        _ => 1,
    };
    fields.iter().map(inner).max().unwrap_or(0)
}

fn some_field<'a>(fields: &'a mut [Field], dice: &mut Dice) -> Option<&'a mut Field> {
    let place = dice.below(count(fields));
    field_at(fields, place)
}

fn field_at(fields: &mut [Field], mut place: usize) -> Option<&mut Field> {
    for field in fields {
        let size = count(std::slice::from_ref(field));
        if place == 0 {
            return Some(field);
        }
        if place < size {
            return match &mut field.content {
                Content::Message(inner) => field_at(inner, place - 1),
                _ => None,
            };
        }
        place -= size;
    }
    None
}

/// The fields of some message, the outermost among them.
fn some_list<'a>(fields: &'a mut Vec<Field>, dice: &mut Dice) -> &'a mut Vec<Field> {
    let mut fields = fields;
    // Down from the outermost, as far as it goes well.
    loop {
        let is_message = |field: &Field| matches!(field.content, Content::Message(_));
        let inner: Vec<usize> = (0..fields.len())
            .filter(|at| is_message(&fields[*at]))
            .collect();
        if inner.is_empty() || dice.below(3) == 0 {
            return fields;
        }
        match &mut fields[*dice.pick(&inner)].content {
            Content::Message(list) => fields = list,
            _ => unreachable!("only messages are chosen"),
        }
    }
}

fn parse(mut bytes: &[u8], depth: usize) -> Option<Vec<Field>> {
    let depth = depth.checked_sub(1)?;
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = number(&mut bytes)?;
        let content = match key & 7 {
            0 => Content::Number(number(&mut bytes)?),
            1 => Content::Fixed64(*taken(&mut bytes, 8)?.first_chunk()?),
            2 => {
                let length = usize::try_from(number(&mut bytes)?).ok()?;
                let text = taken(&mut bytes, length)?;
                match parse(text, depth) {
                    Some(inner) if !inner.is_empty() => Content::Message(inner),
                    _ => Content::Text(text.to_vec()),
                }
            }
            5 => Content::Fixed32(*taken(&mut bytes, 4)?.first_chunk()?),
            _ => return None,
        };
        let number = key >> 3;
        if number == 0 {
            return None;
        }
        fields.push(Field { number, content });
    }
    Some(fields)
}

fn taken<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(head)
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = taken(bytes, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn write(fields: &[Field], out: &mut Vec<u8>) {
    for Field { number, content } in fields {
        let key = |kind: u64| number << 3 | kind;
        match content {
            Content::Number(value) => {
                write_number(key(0), out);
                write_number(*value, out);
            }
            Content::Fixed64(bytes) => {
                write_number(key(1), out);
                out.extend(bytes);
            }
            Content::Fixed32(bytes) => {
                write_number(key(5), out);
                out.extend(bytes);
            }
            Content::Text(text) => {
                write_number(key(2), out);
                write_number(text.len() as u64, out);
                out.extend(text);
            }
            Content::Message(inner) => {
                let mut text = Vec::new();
                write(inner, &mut text);
                write_number(key(2), out);
                write_number(text.len() as u64, out);
                out.extend(text);
            }
        }
    }
}

fn size_of_all(fields: &[Field]) -> usize {
    let mut text = Vec::new();
    write(fields, &mut text);
    text.len()
}

#[allow(clippy::cast_possible_truncation, reason = "seven bits at a time")]
fn write_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
