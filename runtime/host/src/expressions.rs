//! Parsed expressions, kept between calls.

use parking_lot::RwLock;
use qianmian_core::ReachError;
use qianmian_core::expr::Expression;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Bytes of all texts kept: a parsed text takes up to sixty times as much.
const MOST_BYTES: usize = 256 << 10;

/// A bounded map from text to expression. A full map is emptied: scenarios use a few dozen texts, so only strategies
/// that make up texts for each request ever fill it.
pub(crate) struct Expressions {
    parsed: RwLock<Parsed>,
    most: usize,
}

#[derive(Default)]
struct Parsed {
    by_text: FxHashMap<String, Arc<Expression>>,
    bytes: usize,
}

impl Expressions {
    pub fn new(most: usize) -> Self {
        Self { parsed: RwLock::default(), most }
    }

    /// # Errors
    /// [`ReachError::Invalid`] naming the character and the text.
    pub fn get(&self, text: &str) -> Result<Arc<Expression>, ReachError> {
        if let Some(found) = self.parsed.read().by_text.get(text) {
            return Ok(Arc::clone(found));
        }
        let expression = Expression::parse(text).map(Arc::new).map_err(|error| {
            let shown: String = text.chars().take(200).collect();
            ReachError::Invalid(format!("{error}, in: {shown}"))
        })?;
        let mut parsed = self.parsed.write();
        if parsed.by_text.len() >= self.most || parsed.bytes + text.len() > MOST_BYTES {
            *parsed = Parsed::default();
        }
        if parsed.by_text.insert(text.to_owned(), Arc::clone(&expression)).is_none() {
            parsed.bytes += text.len();
        }
        Ok(expression)
    }
}

#[cfg(test)]
mod tests {
    use super::{Expressions, MOST_BYTES};
    use std::sync::Arc;

    #[test]
    fn one_text_is_parsed_once_and_the_map_is_bounded() {
        let expressions = Expressions::new(2);
        let first = expressions.get("item.price > 1").unwrap();
        assert!(Arc::ptr_eq(&first, &expressions.get("item.price > 1").unwrap()));
        for limit in 2..9 {
            expressions.get(&format!("item.price > {limit}")).unwrap();
            assert!(expressions.parsed.read().by_text.len() <= 2);
        }
        let expressions = Expressions::new(1_000);
        for limit in 0..100 {
            expressions.get(&format!("{limit} == {}", "1".repeat(8_000))).unwrap_err();
            expressions.get(&format!("{}{limit} == 1", " ".repeat(8_000))).unwrap();
            let parsed = expressions.parsed.read();
            let bytes: usize = parsed.by_text.keys().map(String::len).sum();
            assert!(bytes == parsed.bytes && (8_000..=MOST_BYTES).contains(&bytes), "{bytes}");
        }
        assert!(expressions.get("item.price >").unwrap_err().to_string().ends_with("in: item.price >"));
    }
}
