//! Recency, frequency, money: where a buyer stands among all buyers, in fifths.

use qianmian_core::{TimeMs, Visitor};
use std::sync::Arc;

/// Buyers that are enough to cut all of them into fifths.
const SAMPLE: usize = 100_000;

/// The four numbers that cut each of the three into fifths, ascending.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rfm {
    recency: Option<[f64; 4]>,
    frequency: [f64; 4],
    monetary: [f64; 4],
}

/// Gathers buyers.
#[derive(Default)]
pub(super) struct Buyers(Vec<(TimeMs, f64, f64)>);

impl Buyers {
    pub fn add(&mut self, visitor: &Visitor) {
        if visitor.orders > 0 && self.0.len() < SAMPLE {
            self.0.push((visitor.last_order, f64::from(visitor.orders), visitor.spend));
        }
    }

    pub fn cut(&self) -> Rfm {
        if self.0.is_empty() {
            return Rfm::default();
        }
        let fifths = |of: fn(&(TimeMs, f64, f64)) -> f64| {
            let mut values: Vec<f64> = self.0.iter().map(of).collect();
            values.sort_unstable_by(f64::total_cmp);
            [1, 2, 3, 4].map(|n| values[(n * values.len() / 5).min(values.len() - 1)])
        };
        Rfm { recency: Some(fifths(|one| one.0 as f64)), frequency: fifths(|one| one.1), monetary: fifths(|one| one.2) }
    }
}

/// 1 for the lowest fifth, 5 for the highest.
fn fifth(cuts: &[f64; 4], value: f64) -> f32 {
    1.0 + cuts.iter().filter(|cut| value >= **cut).count() as f32
}

impl Rfm {
    fn of(&self, visitor: &Visitor, score: impl Fn(&[f64; 4]) -> f32) -> f32 {
        self.recency.as_ref().filter(|_| visitor.orders > 0).map_or(f32::NAN, score)
    }

    /// 5 for those who ordered last; NaN without orders.
    pub fn recency(&self, visitor: &Visitor) -> f32 {
        self.of(visitor, |cuts| fifth(cuts, visitor.last_order as f64))
    }

    /// 5 for those who ordered most often; NaN without orders.
    pub fn frequency(&self, visitor: &Visitor) -> f32 {
        self.of(visitor, |_| fifth(&self.frequency, f64::from(visitor.orders)))
    }

    /// 5 for those who spent most; NaN without orders.
    pub fn monetary(&self, visitor: &Visitor) -> f32 {
        self.of(visitor, |_| fifth(&self.monetary, visitor.spend))
    }

    /// The three as one text, such as `543`; empty without orders.
    pub fn text(&self, visitor: &Visitor) -> Arc<str> {
        let scores = [self.recency(visitor), self.frequency(visitor), self.monetary(visitor)];
        if scores[0].is_nan() {
            return Arc::from("");
        }
        scores.map(|score| score.to_string()).concat().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buyers_fall_into_fifths() {
        let buyer = |n: u32| Visitor {
            orders: n,
            last_order: TimeMs::from(n),
            spend: f64::from(101 - n),
            ..Visitor::default()
        };
        let mut buyers = Buyers::default();
        (1..=100).for_each(|n| buyers.add(&buyer(n)));
        buyers.add(&Visitor::default());
        let rfm = buyers.cut();
        assert_eq!(&*rfm.text(&buyer(100)), "551");
        assert_eq!(&*rfm.text(&buyer(1)), "115");
        assert_eq!(&*rfm.text(&buyer(50)), "333");
        assert!(rfm.recency(&Visitor::default()).is_nan() && rfm.text(&Visitor::default()).is_empty());
        assert!(Rfm::default().monetary(&buyer(1)).is_nan(), "nothing to compare with");
    }
}
