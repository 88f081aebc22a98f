//! Texts as numbers: brands, categories, tags and the like are compared and counted as `u32`.

use rustc_hash::FxHashMap;
use std::sync::Arc;

/// An append-only table of texts. Symbol 0 is the empty text and means "none". A symbol means the same text in every
/// later snapshot of the same process; symbols are not stable across restarts.
#[derive(Clone, Debug)]
pub struct Symbols {
    texts: Arc<Vec<Arc<str>>>,
    numbers: Arc<FxHashMap<Arc<str>, u32>>,
}

impl Default for Symbols {
    fn default() -> Self {
        let none: Arc<str> = Arc::from("");
        Self { texts: Arc::new(vec![Arc::clone(&none)]), numbers: Arc::new(std::iter::once((none, 0)).collect()) }
    }
}

impl Symbols {
    /// The text of a symbol; empty for 0 and for a number that is no symbol.
    #[must_use]
    pub fn text(&self, symbol: u32) -> Arc<str> {
        Arc::clone(self.texts.get(symbol as usize).unwrap_or(&self.texts[0]))
    }

    /// The symbol of a text some item uses or used; `Some(0)` for the empty text.
    #[must_use]
    pub fn get(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    /// Number of symbols, the empty one included: every symbol is below it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Never true: the empty text is always there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The symbol of a text, added when new.
    pub(super) fn intern(&mut self, text: &str) -> u32 {
        if let Some(symbol) = self.get(text) {
            return symbol;
        }
        let text: Arc<str> = Arc::from(text);
        let texts = Arc::make_mut(&mut self.texts);
        // 2^32 texts of catalogue would need hundreds of gigabytes; running out means "none", not another item's text
        let Ok(symbol) = u32::try_from(texts.len()) else { return 0 };
        texts.push(Arc::clone(&text));
        Arc::make_mut(&mut self.numbers).insert(text, symbol);
        symbol
    }

    /// The symbols of several texts, in their order, repeats and empty texts left out.
    pub(super) fn intern_all(&mut self, texts: &[String]) -> Arc<[u32]> {
        let mut symbols = Vec::with_capacity(texts.len());
        for text in texts {
            let symbol = self.intern(text);
            if symbol != 0 && !symbols.contains(&symbol) {
                symbols.push(symbol);
            }
        }
        symbols.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_stable_and_zero_is_none() {
        let mut first = Symbols::default();
        assert_eq!(first.get(""), Some(0));
        let tea = first.intern("tea");
        let mut second = first.clone();
        assert_eq!(second.intern("tea"), tea);
        let cups = second.intern("cups");
        assert_ne!(cups, tea);
        assert_eq!(first.get("cups"), None, "an older snapshot does not change");
        assert_eq!(&*second.text(cups), "cups");
        assert_eq!(&*second.text(999), "");
        let list = ["tea".into(), String::new(), "cups".into(), "tea".into()];
        assert_eq!(&*second.intern_all(&list), &[tea, cups]);
    }
}
