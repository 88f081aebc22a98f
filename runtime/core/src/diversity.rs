//! Spreading similar candidates apart.

/// Greedy maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): picks up to `count` positions, each time
/// the one with the highest `(1 - strength) * relevance - strength * similarity to the most similar picked one`.
///
/// `relevance` is one finite value a candidate (it is scaled to 0..=1 here), `vectors` their vectors of `dim`
/// row-major, normalised here (a zero vector is similar to nothing), `strength` is clamped to 0..=1. Ties go to the
/// earlier candidate. Cost: `count * candidates * dim`.
///
/// # Panics
/// When `vectors` is not `relevance.len() * dim` long.
#[must_use]
pub fn spread(relevance: &[f32], vectors: &[f32], dim: usize, strength: f32, count: usize) -> Vec<u32> {
    spread_while(relevance, vectors, dim, strength, count, || true).unwrap_or_default()
}

/// As [`spread`], asked before every pick whether to go on; `None` when it was told not to.
///
/// # Panics
/// When `vectors` is not `relevance.len() * dim` long.
pub fn spread_while(
    relevance: &[f32],
    vectors: &[f32],
    dim: usize,
    strength: f32,
    count: usize,
    go_on: impl Fn() -> bool,
) -> Option<Vec<u32>> {
    assert_eq!(vectors.len(), relevance.len() * dim, "one vector a candidate");
    let n = relevance.len();
    let strength = if strength.is_nan() { 0.0 } else { strength.clamp(0.0, 1.0) };
    let finite = |v: f32| if v.is_finite() { v } else { f32::MIN / 4.0 };
    let (low, high) = relevance
        .iter()
        .filter(|v| v.is_finite())
        .fold((f32::MAX, f32::MIN), |(low, high), &v| (low.min(v), high.max(v)));
    let scale = if high > low { 1.0 / (high - low) } else { 0.0 };
    let unit: Vec<f32> = vectors
        .chunks_exact(dim.max(1))
        .flat_map(|v| {
            let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt();
            let by = if norm > 0.0 && norm.is_finite() { 1.0 / norm } else { 0.0 };
            v.iter().map(move |x| if by == 0.0 { 0.0 } else { x * by })
        })
        .collect();
    let mut similarity = vec![0f32; n];
    let mut picked = vec![false; n];
    let mut order = Vec::with_capacity(count.min(n));
    while order.len() < count.min(n) {
        if !go_on() {
            return None;
        }
        let mut best: Option<(usize, f32)> = None;
        for at in (0..n).filter(|&at| !picked[at]) {
            let value = (1.0 - strength) * ((finite(relevance[at]) - low) * scale) - strength * similarity[at];
            if best.is_none_or(|(_, highest)| value > highest) {
                best = Some((at, value));
            }
        }
        let Some((at, _)) = best else { break };
        picked[at] = true;
        order.push(at as u32);
        let chosen = &unit[at * dim..(at + 1) * dim];
        for other in (0..n).filter(|&other| !picked[other]) {
            let dot: f32 = unit[other * dim..(other + 1) * dim].iter().zip(chosen).map(|(a, b)| a * b).sum();
            similarity[other] = similarity[other].max(dot);
        }
    }
    Some(order)
}

#[cfg(test)]
mod tests {
    use super::{spread, spread_while};

    #[test]
    fn alike_candidates_stand_apart() {
        let vectors = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0];
        assert_eq!(spread(&[3.0, 2.9, 2.0], &vectors, 2, 0.7, 3), vec![0, 2, 1]);
        assert_eq!(spread(&[3.0, 2.9, 2.0], &vectors, 2, 0.0, 2), vec![0, 1]);
    }

    #[test]
    fn bad_numbers_do_no_harm() {
        assert_eq!(spread(&[f32::NAN, 1.0], &[0.0, f32::NAN], 1, 0.5, 9).len(), 2);
        assert!(spread(&[], &[], 4, 0.5, 9).is_empty());
    }

    #[test]
    fn it_stops_when_it_is_told() {
        let asked = std::cell::Cell::new(0);
        let go_on = || asked.replace(asked.get() + 1) < 1;
        assert_eq!(spread_while(&[3.0, 2.0, 1.0], &[1.0, 0.0, 1.0], 1, 0.5, 3, go_on), None);
        assert_eq!(asked.get(), 2);
    }
}
