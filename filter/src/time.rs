//! Moments as payloads and bounds write them: RFC 3339, and the shorter forms
//! that clients send. Without an offset a moment is in UTC.
//!
//! ```text
//! 2024-06-15
//! 2024-06-15T12:30    or a space for the T
//! 2024-06-15T12:30:05    .123456789    Z | z | +HH | +HHMM | +HH:MM | UTC, with or without a space before
//! ```

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

pub use jiff::Timestamp;

/// A text that is no moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a date or time: write it as RFC 3339 has it, 2024-06-15T12:30:00Z, or shorter, 2024-06-15"
)]
pub struct BadTime(pub String);

/// The moment that a text names.
///
/// # Errors
/// It is in none of the forms, or there is no such moment.
pub fn timestamp(text: &str) -> Result<Timestamp, BadTime> {
    parse(text.trim_start()).ok_or_else(|| BadTime(text.to_owned()))
}

fn parse(text: &str) -> Option<Timestamp> {
    let (year, text) = digits(text, 4)?;
    let (month, text) = digits(text.strip_prefix('-')?, 2)?;
    let (day, text) = digits(text.strip_prefix('-')?, 2)?;
    let date = Date::new(
        i16::try_from(year).ok()?,
        i8::try_from(month).ok()?,
        i8::try_from(day).ok()?,
    )
    .ok()?;
    if text.is_empty() {
        return utc(date, Time::midnight(), Offset::UTC);
    }
    let (hour, text) = digits(text.strip_prefix(['T', 't', ' '])?, 2)?;
    let (minute, text) = digits(text.strip_prefix(':')?, 2)?;
    let time = |second, nanosecond| {
        let [hour, minute, second] = [hour, minute, second].map(i8::try_from);
        Time::new(hour.ok()?, minute.ok()?, second.ok()?, nanosecond).ok()
    };
    if text.is_empty() {
        return utc(date, time(0, 0)?, Offset::UTC);
    }
    let (second, text) = digits(text.strip_prefix(':')?, 2)?;
    let (nanosecond, text) = fraction(text)?;
    utc(date, time(second, nanosecond)?, offset(text)?)
}

fn utc(date: Date, time: Time, offset: Offset) -> Option<Timestamp> {
    offset.to_timestamp(DateTime::from_parts(date, time)).ok()
}

/// The number of the first `count` characters, which must be digits, and the rest.
fn digits(text: &str, count: usize) -> Option<(u32, &str)> {
    let (number, rest) = text.split_at_checked(count)?;
    let all = number.bytes().all(|b| b.is_ascii_digit());
    Some((number.parse().ok().filter(|_| all)?, rest))
}

/// Nanoseconds; what is finer is cut off.
fn fraction(text: &str) -> Option<(i32, &str)> {
    let Some(text) = text.strip_prefix('.') else {
        return Some((0, text));
    };
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (number, rest) = text.split_at(end.unwrap_or(text.len()));
    let nine: String = number.chars().chain("000000000".chars()).take(9).collect();
    (!number.is_empty()).then_some((nine.parse().ok()?, rest))
}

fn offset(text: &str) -> Option<Offset> {
    if matches!(text, "" | "Z" | "z" | " UTC") {
        return Some(Offset::UTC);
    }
    let text = text.strip_prefix(' ').unwrap_or(text);
    let (sign, text) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, text) = digits(text, 2)?;
    let minutes = match text {
        "" => 0,
        text => {
            let (minutes, rest) = digits(text.strip_prefix(':').unwrap_or(text), 2)?;
            minutes.checked_sub(60 * u32::from(!rest.is_empty()))?
        }
    };
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    let is_offset = hours < 24 && minutes < 60;
    Offset::from_seconds(sign * seconds)
        .ok()
        .filter(|_| is_offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_form_names_its_moment() {
        let noon = "2024-06-15T12:00:00Z";
        for (text, same) in [
            ("2024-06-15", "2024-06-15T00:00:00Z"),
            ("2024-06-15 12:00", noon),
            ("2024-06-15T12:00", noon),
            (" 2024-06-15T12:00:00", noon),
            ("2024-06-15 12:00:00.000", noon),
            ("2024-06-15T12:00:00z", noon),
            ("2024-06-15T12:00:00 UTC", noon),
            ("2024-06-15T14:30:00+02:30", noon),
            ("2024-06-15 14:00:00 +0200", noon),
            ("2024-06-14T22:00:00.0-14", noon),
            (
                "2024-06-15T12:00:00.1234567899Z",
                "2024-06-15T12:00:00.123456789Z",
            ),
            ("2024-02-29", "2024-02-29T00:00:00Z"),
        ] {
            let expected: Timestamp = same.parse().unwrap();
            assert_eq!(timestamp(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "now",
            "2024",
            "2024-06",
            "2024-6-15",
            "20240615",
            "2024-13-01",
            "2023-02-29",
            "2024-06-15T",
            "2024-06-15T12",
            "2024-06-15 24:00",
            "2024-06-15T12:60",
            "2024-06-15T12:00:61",
            "2024-06-15T12:00Z",
            "2024-06-15T12:00:00.Z",
            "2024-06-15T12:00:00+1",
            "2024-06-15T12:00:00+01:6",
            "2024-06-15T12:00:00+25",
            "2024-06-15T12:00:00+01:99",
            "2024-06-15T12:00:00+01:000",
            "2024-06-15T12:00:00Z ",
            "+024-06-15",
            "２０２４-06-15",
        ] {
            assert_eq!(timestamp(text), Err(BadTime(text.into())));
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[0-9:TZ+. -]{0,30}|\\PC{0,12}") {
            drop(timestamp(&text));
        }

        #[test]
        fn what_a_library_prints_is_read_back(seconds in -60_000_000_000_i64..200_000_000_000, nanos in 0..1_000_000_000) {
            let moment = Timestamp::new(seconds, nanos).unwrap();
            prop_assert_eq!(timestamp(&moment.to_string()), Ok(moment));
        }
    }
}
