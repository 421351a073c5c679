//! Numbers that are given away once, as the ids of nodes. It decides that a
//! number whose giving away failed, or may have, is never given to anybody: it is
//! skipped.

use crate::store::{Cause, Revision, StoreError, SwapError};
use crate::values::{ValueName, Values};

/// Why no number was given away.
#[derive(Debug, thiserror::Error)]
pub enum NumberError {
    /// The highest number cannot be read.
    #[error("the counter {counter} cannot be read")]
    Read {
        /// The counter.
        counter: ValueName,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The next number could not be recorded as given away. It may be tried
    /// again, and gives another one then.
    #[error("the counter {counter} could not be raised")]
    Raise {
        /// The counter.
        counter: ValueName,
        /// Why.
        #[source]
        source: SwapError,
    },
    /// There is no further number.
    #[error("the counter {counter} has come to its end")]
    Exhausted {
        /// The counter.
        counter: ValueName,
    },
}

/// A number that this counter never gave before; the first is 1. It is above
/// `above` too: who knows of a number that is in use says so, because a store
/// that was restored from a backup has forgotten what it gave since.
///
/// # Errors
/// No number was given away: see [`NumberError`].
pub async fn next_number(
    values: &dyn Values,
    counter: &ValueName,
    above: u64,
) -> Result<u64, NumberError> {
    loop {
        let (expected, highest) = read(values, counter).await?;
        let next = highest
            .max(above)
            .checked_add(1)
            .ok_or_else(|| NumberError::Exhausted {
                counter: counter.clone(),
            })?;
        match values
            .swap(counter, expected, next.to_string().as_bytes())
            .await
        {
            Ok(_) => return Ok(next),
            // Somebody else got one, so this ends.
            Err(SwapError::Conflict { .. }) => {}
            Err(source) => {
                return Err(NumberError::Raise {
                    counter: counter.clone(),
                    source,
                });
            }
        }
    }
}

async fn read(
    values: &dyn Values,
    counter: &ValueName,
) -> Result<(Option<Revision>, u64), NumberError> {
    let failed = |source| NumberError::Read {
        counter: counter.clone(),
        source,
    };
    let Some(found) = values.get(counter).await.map_err(failed)? else {
        return Ok((None, 0));
    };
    let highest = number(&found.value).ok_or_else(|| {
        failed(StoreError::Damaged {
            place: values.place(counter),
            source: Cause::from(
                "it is not a number; put back the highest number that was given away, \
                 in decimal digits",
            ),
        })
    })?;
    Ok((Some(found.revision), highest))
}

/// Only what [`next_number`] writes: `+1` or `01` are somebody else's.
fn number(bytes: &[u8]) -> Option<u64> {
    let number: u64 = std::str::from_utf8(bytes).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == bytes).then_some(number)
}
