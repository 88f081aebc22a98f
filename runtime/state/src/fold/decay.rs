//! Counts that fade: exponential decay with a half-life, exact for events in any order.

use qianmian_core::{DAY_MS, TimeMs};

/// Half-life of interest, affinities and recent co-occurrence.
pub const MONTH: f64 = 30.0;
/// Half-life of trending.
pub const WEEK: f64 = 7.0;

/// Days from `then` to `now`; 0 when `then` is later, so that a clock ahead of ours cannot make a count grow.
pub(crate) fn days(now: TimeMs, then: TimeMs) -> f64 {
    now.saturating_sub(then).max(0) as f64 / DAY_MS as f64
}

/// What is left of 1 after `age` days.
pub(crate) fn fade(age: f64, half_life: f64) -> f64 {
    (-age / half_life).exp2()
}

/// A decayed count: its value as of a time. Reading it at `now` decays it further.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Decayed {
    value: f64,
    at: TimeMs,
}

impl Decayed {
    /// Adds `weight` that happened at `time`. A late event is added at what is left of it by now. A weight below 0 takes out
    /// what was added before; less than nothing is never left.
    pub fn add(&mut self, weight: f64, time: TimeMs, half_life: f64) {
        if time >= self.at {
            self.value = self.value * fade(days(time, self.at), half_life) + weight;
            self.at = time;
        } else {
            self.value += weight * fade(days(self.at, time), half_life);
        }
        self.value = self.value.max(0.0);
    }

    /// All of it, to compare with.
    pub(crate) fn bits(&self) -> [u64; 2] {
        [self.value.to_bits(), self.at.cast_unsigned()]
    }

    /// From [`Self::bits`].
    pub(crate) fn from_bits([value, at]: [u64; 2]) -> Self {
        Self { value: f64::from_bits(value), at: at.cast_signed() }
    }

    /// The value at `now`; a `now` before the last event reads the value as of that event.
    #[must_use]
    pub fn read(&self, now: TimeMs, half_life: f64) -> f64 {
        // Nothing fades to nothing: most items of a long tail were not ordered lately.
        if self.value == 0.0 { 0.0 } else { self.value * fade(days(now, self.at), half_life) }
    }
}

/// The same as a single number: `log2(value) + time / half_life`, with which values can be compared without a common
/// time, because all of them fade alike. `-inf` is nothing.
pub(crate) fn landmark_add(mark: f64, weight: f64, time: TimeMs, half_life: f64) -> f64 {
    let new = weight.log2() + time as f64 / DAY_MS as f64 / half_life;
    let (high, low) = if new > mark { (new, mark) } else { (mark, new) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp2().ln_1p() / std::f64::consts::LN_2 }
}

/// What is left of a number made by [`landmark_add`] without one of its weights; nothing where that was all of it.
pub(crate) fn landmark_take(mark: f64, weight: f64, time: TimeMs, half_life: f64) -> f64 {
    let gone = weight.log2() + time as f64 / DAY_MS as f64 / half_life;
    // more than there is was never in it
    if gone > mark + 1e-6 {
        return mark;
    }
    let left = 1.0 - (gone - mark).exp2();
    // what rounding leaves is no weight
    if left < 1e-9 { f64::NEG_INFINITY } else { mark + left.log2() }
}

/// log2 of the value at `now` of a number made by [`landmark_add`].
pub(crate) fn landmark_log2(mark: f64, now: TimeMs, half_life: f64) -> f64 {
    mark - now as f64 / DAY_MS as f64 / half_life
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_each_half_life() {
        let mut count = Decayed::default();
        count.add(4.0, 10 * DAY_MS, 7.0);
        assert_eq!(count.read(10 * DAY_MS, 7.0), 4.0);
        assert_eq!(count.read(17 * DAY_MS, 7.0), 2.0);
        assert_eq!(count.read(3 * DAY_MS, 7.0), 4.0, "a clock behind reads the value as it was");
        count.add(1.0, 24 * DAY_MS, 7.0);
        assert_eq!(count.read(24 * DAY_MS, 7.0), 2.0);
        count.add(1.0, 17 * DAY_MS, 7.0);
        assert_eq!(count.read(24 * DAY_MS, 7.0), 2.5, "a late event counts at what is left of it");
    }

    #[test]
    fn marks_agree_with_counts_in_any_order() {
        let events = [(1.0, 3), (5.0, 1), (3.0, 9), (1.0, 9)];
        let mut count = Decayed::default();
        let mut mark = f64::NEG_INFINITY;
        for (weight, day) in events {
            count.add(weight, day * DAY_MS, WEEK);
            mark = landmark_add(mark, weight, day * DAY_MS, WEEK);
        }
        let all = mark;
        let less = landmark_take(landmark_add(mark, 2.0, 8 * DAY_MS, WEEK), 2.0, 8 * DAY_MS, WEEK);
        assert!((less - all).abs() < 1e-9, "one out again");
        assert_eq!(landmark_take(landmark_add(f64::NEG_INFINITY, 3.0, 5, WEEK), 3.0, 5, WEEK), f64::NEG_INFINITY);
        let now = 20 * DAY_MS;
        assert!((landmark_log2(mark, now, WEEK).exp2() - count.read(now, WEEK)).abs() < 1e-9);
    }
}
