//! How many are in a segment, and some of them: of one that is kept a count, of a condition being written an estimate.

use crate::fold::Folds;
use crate::fold::crowd::SHARDS;
use qianmian_core::ReachError;
use qianmian_core::expr::Expression;
use std::sync::Arc;

/// Visitors looked at under one borrow of a map.
const PORTION: usize = 4_096;

/// The size of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Members: counted, or estimated from those looked at.
    pub size: u64,
    /// Visitors there are.
    pub visitors: u64,
    /// Visitors looked at.
    pub looked_at: u64,
    /// Keys of some members.
    pub sample: Vec<Arc<str>>,
}

impl Folds {
    /// How many visitors a condition is true for, estimated from at least `look` of them, with a sample of `most` keys.
    ///
    /// # Errors
    /// [`ReachError::Unknown`] columns, [`ReachError::Invalid`] types.
    pub fn estimate(&self, when: &Expression, look: usize, most: usize) -> Result<Estimate, ReachError> {
        let catalogue = self.catalogue();
        let (mut looked_at, mut found) = (0, 0u32);
        let mut sample = Vec::new();
        // also right when there is nobody to look at
        self.audience.holds(&[], &catalogue, when)?;
        for shard in 0..SHARDS {
            for portion in self.crowd.numbers(shard).chunks(PORTION) {
                let portion = self.crowd.of(portion);
                let holds = self.audience.holds(&portion, &catalogue, when)?;
                for (one, _) in portion.iter().zip(&holds).filter(|(_, holds)| **holds) {
                    found += 1;
                    if sample.len() < most {
                        sample.push(Arc::clone(&one.key));
                    }
                }
                looked_at += portion.len();
            }
            if looked_at >= look {
                break;
            }
        }
        let visitors = self.visitors() as u64;
        let share = if looked_at == 0 { 0.0 } else { f64::from(found) / looked_at as f64 };
        // keys fall into maps by a hash: those of a few maps are a fair sample
        let size =
            if looked_at as u64 >= visitors { u64::from(found) } else { (share * visitors as f64).round() as u64 };
        Ok(Estimate { size, visitors, looked_at: looked_at as u64, sample })
    }

    /// The members of a segment, counted, with a sample of `most` keys; `None` when there is no such segment.
    #[must_use]
    pub fn segment(&self, name: &str, most: usize) -> Option<Estimate> {
        let size = self.audience.size(name)?;
        let visitors = self.visitors() as u64;
        let sample = self.crowd.keys(self.audience.members(name, most).into_iter());
        Some(Estimate { size, visitors, looked_at: visitors, sample })
    }
}
