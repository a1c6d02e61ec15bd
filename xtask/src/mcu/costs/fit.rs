//! Least squares without negative coefficients.

/// Rounds over all coefficients.
const ROUNDS: usize = 4000;

/// What a coefficient may weigh without need, of the squares of relative errors.
const RIDGE: f64 = 1e-9;

/// The coefficients, none negative, for which `rows` times them are closest to `values`, by the squares of
/// errors as shares of `scales`.
///
/// Costs add up: nothing that a kernel does takes less than no instruction, and a coefficient below 0 would
/// stand for chance.
pub(super) fn fit(rows: &[Vec<f64>], values: &[f64], scales: &[f64]) -> Vec<f64> {
    let width = rows.iter().map(Vec::len).max().unwrap_or(0);
    // Normal equations, of columns scaled to the same length.
    let relative = |row: &Vec<f64>, scale: f64| -> Vec<f64> {
        (0..width).map(|i| row.get(i).copied().unwrap_or(0.0) / scale.max(1.0)).collect()
    };
    let rows: Vec<Vec<f64>> = rows.iter().zip(scales).map(|(r, &s)| relative(r, s)).collect();
    let values: Vec<f64> = values.iter().zip(scales).map(|(v, s)| v / s.max(1.0)).collect();
    let norms: Vec<f64> =
        (0..width).map(|i| rows.iter().map(|row| row[i] * row[i]).sum::<f64>().sqrt()).collect();
    let scaled = |row: &[f64], i: usize| if norms[i] > 0.0 { row[i] / norms[i] } else { 0.0 };
    let mut gram = vec![vec![0.0; width]; width];
    let mut target = vec![0.0; width];
    for (row, value) in rows.iter().zip(&values) {
        for i in 0..width {
            let x = scaled(row, i);
            target[i] += x * value;
            for (j, sum) in gram[i].iter_mut().enumerate() {
                *sum += x * scaled(row, j);
            }
        }
    }
    let mut coefficients = vec![0.0; width];
    for _ in 0..ROUNDS {
        for i in 0..width {
            if norms[i] == 0.0 {
                continue;
            }
            let others: f64 =
                (0..width).filter(|&j| j != i).map(|j| gram[i][j] * coefficients[j]).sum();
            coefficients[i] = ((target[i] - others) / (gram[i][i] + RIDGE)).max(0.0);
        }
    }
    coefficients.iter().zip(&norms).map(|(c, n)| if *n > 0.0 { c / n } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_costs_are_taken_apart() {
        let costs = [100.0, 7.0, 0.0, 3.0];
        let rows: Vec<Vec<f64>> = (1..40)
            .map(|i| vec![1.0, f64::from(i % 7), f64::from(i % 5), f64::from(i * i % 11)])
            .collect();
        let value = |row: &Vec<f64>| row.iter().zip(costs).map(|(x, c)| x * c).sum();
        let values: Vec<f64> = rows.iter().map(value).collect();
        for (found, expected) in fit(&rows, &values, &values).iter().zip(costs) {
            assert!((found - expected).abs() < 0.05, "{found} is not {expected}");
        }
    }
}
