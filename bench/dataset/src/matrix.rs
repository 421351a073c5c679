//! Rows of equal length in one piece of memory: what every array of a data set
//! is.

/// Rows of equal length.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix<T> {
    columns: usize,
    values: Vec<T>,
}

impl<T> Matrix<T> {
    /// Rows of `columns` values each, one after the other; nothing where the
    /// values do not fill the last row, or where a row would be empty.
    #[must_use]
    pub fn new(columns: usize, values: Vec<T>) -> Option<Self> {
        let whole = columns > 0 && values.len().is_multiple_of(columns);
        whole.then_some(Self { columns, values })
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    /// How long a row is.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// One row.
    #[must_use]
    pub fn row(&self, i: usize) -> Option<&[T]> {
        let start = i.checked_mul(self.columns)?;
        self.values.get(start..start.checked_add(self.columns)?)
    }

    /// All rows, in order.
    pub fn iter(&self) -> std::slice::ChunksExact<'_, T> {
        self.values.chunks_exact(self.columns)
    }

    /// All values, row after row.
    #[must_use]
    pub fn values(&self) -> &[T] {
        &self.values
    }
}

impl<'a, T> IntoIterator for &'a Matrix<T> {
    type Item = &'a [T];
    type IntoIter = std::slice::ChunksExact<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_pieces_of_the_values() {
        let matrix = Matrix::new(2, vec![1, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!((matrix.rows(), matrix.columns()), (3, 2));
        assert_eq!(matrix.row(1), Some(&[3, 4][..]));
        assert_eq!(matrix.row(3), None);
        assert_eq!(matrix.row(usize::MAX), None);
        assert_eq!(matrix.iter().count(), 3);
    }

    #[test]
    fn values_that_do_not_fill_their_rows_are_no_matrix() {
        assert_eq!(Matrix::new(2, vec![1, 2, 3]), None);
        assert_eq!(Matrix::<u8>::new(0, vec![]), None);
    }
}
