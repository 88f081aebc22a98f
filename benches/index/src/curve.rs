//! Recall against queries per second, and reading a figure off it.

/// One width: what it finds, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Recall@k, 0..=1.
    pub recall: f64,
    /// Queries per second.
    pub qps: f64,
}

/// Queries per second at a recall, between the two points around it; `None` where it is not reached.
pub fn at(points: &[Point], recall: f64) -> Option<f64> {
    let above = points.iter().position(|point| point.recall >= recall)?;
    let high = points[above];
    let Some(low) = above.checked_sub(1).map(|below| points[below]) else { return Some(high.qps) };
    let part = (recall - low.recall) / (high.recall - low.recall).max(1e-12);
    Some(low.qps * (high.qps / low.qps).powf(part.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_off_between_points() {
        let points = [(0.9, 400.0), (0.96, 100.0)].map(|(recall, qps)| Point { recall, qps });
        assert!((at(&points, 0.93).expect("between") - 200.0).abs() < 1e-6);
        assert_eq!(at(&points, 0.5), Some(400.0));
        assert_eq!(at(&points, 0.99), None);
    }
}
