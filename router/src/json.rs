//! JSON text that is written piece by piece.

use crate::error::Error;

/// Writes a list, item by item.
pub(crate) fn list<T>(
    buffer: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut item: impl FnMut(&mut Vec<u8>, T) -> Result<(), Error>,
) -> Result<(), Error> {
    buffer.push(b'[');
    for (i, one) in items.into_iter().enumerate() {
        if i > 0 {
            buffer.push(b',');
        }
        item(buffer, one)?;
    }
    buffer.push(b']');
    Ok(())
}
