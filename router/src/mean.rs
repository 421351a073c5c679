//! The vector that stands for examples: the mean of the wanted ones, and where
//! there are unwanted ones as much farther on as their mean is behind. Pure.

/// That vector, or `None` where it lies beyond the range of 32-bit floats.
pub(crate) fn aim(positive: &[&[f32]], negative: &[&[f32]]) -> Option<Vec<f32>> {
    // What is wanted alone is answered as it is.
    if let ([one], []) = (positive, negative) {
        return Some(one.to_vec());
    }
    let (wanted, unwanted) = (mean(positive), mean(negative));
    let aim = wanted.iter().enumerate().map(|(i, x)| {
        let behind = unwanted.get(i).map_or(0.0, |y| x - y);
        // An f32 is what vectors are made of: rounding to it is the point.
        #[allow(clippy::cast_possible_truncation)]
        let narrow = (x + behind) as f32;
        narrow.is_finite().then_some(narrow)
    });
    aim.collect()
}

fn mean(vectors: &[&[f32]]) -> Vec<f64> {
    let mut sum = vec![0.0; vectors.first().map_or(0, |vector| vector.len())];
    for vector in vectors {
        for (sum, x) in sum.iter_mut().zip(*vector) {
            *sum += f64::from(*x);
        }
    }
    // No request has 2^53 vectors.
    #[allow(clippy::cast_precision_loss)]
    let count = vectors.len() as f64;
    sum.into_iter().map(|sum| sum / count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_mean_of_the_wanted_moved_away_from_the_unwanted() {
        let (a, b, c): ([f32; 2], [f32; 2], [f32; 2]) = ([1.0, 0.0], [3.0, 2.0], [2.0, 4.0]);
        assert_eq!(aim(&[&a], &[]), Some(vec![1.0, 0.0]));
        assert_eq!(aim(&[&a, &b], &[]), Some(vec![2.0, 1.0]));
        assert_eq!(aim(&[&a, &b], &[&c]), Some(vec![2.0, -2.0]));
        assert_eq!(aim(&[&a], &[&b, &c]), Some(vec![-0.5, -3.0]));
    }

    #[test]
    fn beyond_all_numbers_there_is_none() {
        let (up, down) = ([f32::MAX], [f32::MIN]);
        assert_eq!(aim(&[&up, &up], &[]), Some(vec![f32::MAX]));
        assert_eq!(aim(&[&up], &[&down]), None);
    }
}
