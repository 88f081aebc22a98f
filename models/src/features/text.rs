//! Words of texts, and how much of one set of words is in another.

use super::definition::Match;
use rustc_hash::FxHasher;
use std::hash::Hasher;
use std::sync::Arc;

/// Words, or runs of characters, of a text that are looked at.
const MOST: usize = 512;

/// Characters that are words by themselves: Chinese, and Japanese.
fn stands_alone(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

/// The words of a text: runs of letters and digits, and characters that stand alone.
fn words(text: &str, mut each: impl FnMut(&str)) {
    let mut start = None;
    for (at, c) in text.char_indices() {
        let alone = stands_alone(c);
        let inside = c.is_alphanumeric() && !alone;
        match start {
            None if inside => start = Some(at),
            Some(from) if !inside => {
                each(&text[from..at]);
                start = None;
            }
            _ => {}
        }
        if alone {
            each(&text[at..at + c.len_utf8()]);
        }
    }
    if let Some(from) = start {
        each(&text[from..]);
    }
}

/// How many words all of these texts have.
pub(super) fn count(texts: &[Arc<str>]) -> usize {
    let mut count = 0;
    texts.iter().for_each(|text| words(text, |_| count += 1));
    count
}

/// The parts of texts that are compared, hashed, ascending, each once.
pub(super) fn parts(texts: &[Arc<str>], method: Match, n: usize) -> Vec<u64> {
    let mut parts: Vec<u64> = Vec::new();
    for text in texts.iter().filter(|text| !text.is_empty()) {
        let lower = text.to_lowercase();
        match method {
            Match::Exact => parts.push(hash(lower.trim())),
            Match::Term => words(&lower, |word| {
                if parts.len() < MOST {
                    parts.push(hash(word));
                }
            }),
            Match::Ngram => {
                let mut line = String::with_capacity(lower.len());
                words(&lower, |word| {
                    if !line.is_empty() && !word.chars().any(stands_alone) {
                        line.push(' ');
                    }
                    line.push_str(word);
                });
                let ends: Vec<usize> = line.char_indices().map(|(at, _)| at).chain([line.len()]).collect();
                if ends.len() > 1 && ends.len() <= n {
                    parts.push(hash(&line));
                }
                parts.extend(ends.windows(n + 1).take(MOST).map(|run| hash(&line[run[0]..run[n]])));
            }
        }
    }
    parts.sort_unstable();
    parts.dedup();
    parts
}

fn hash(text: &str) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(text.as_bytes());
    hasher.write_u8(0xff);
    hasher.finish()
}

/// How much two sets have in common, 0 to 1: for [`Match::Exact`] whether they have anything, else the common ones over all.
/// NaN when either is empty.
pub(super) fn alike(a: &[u64], b: &[u64], method: Match) -> f32 {
    if a.is_empty() || b.is_empty() {
        return f32::NAN;
    }
    let (mut i, mut j, mut common) = (0, 0, 0usize);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                (i, j, common) = (i + 1, j + 1, common + 1);
            }
        }
    }
    match method {
        Match::Exact => f32::from(u8::from(common > 0)),
        Match::Term | Match::Ngram => common as f32 / (a.len() + b.len() - common) as f32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<Arc<str>> {
        vec![text.into()]
    }

    fn compare(a: &str, b: &str, method: Match, n: usize) -> f32 {
        alike(&parts(&of(a), method, n), &parts(&of(b), method, n), method)
    }

    #[test]
    fn words_are_counted() {
        for (text, want) in [("", 0), ("Green tea, 250 g!", 4), ("绿茶250克", 4), ("a-b_c", 3), ("  ", 0), ("茶", 1)]
        {
            assert_eq!(count(&of(text)), want, "{text}");
        }
        assert_eq!(count(&["green tea".into(), "cup".into()]), 3);
    }

    #[test]
    fn texts_are_compared() {
        assert_eq!(compare("Green tea", "green TEA leaves", Match::Term, 0), 2.0 / 3.0);
        assert_eq!(compare("绿茶", "绿茶叶", Match::Term, 0), 2.0 / 3.0);
        assert_eq!(compare("tea", "TEA", Match::Exact, 0), 1.0);
        assert_eq!(compare("tea", "green tea", Match::Exact, 0), 0.0);
        assert_eq!(compare("abcd", "bcde", Match::Ngram, 3), 1.0 / 3.0);
        assert_eq!(compare("ab", "ab", Match::Ngram, 3), 1.0);
        assert_eq!(compare("绿茶叶", "绿茶杯", Match::Ngram, 2), 1.0 / 3.0);
        for method in [Match::Exact, Match::Term, Match::Ngram] {
            assert!(compare("", "tea", method, 3).is_nan());
        }
        assert!(compare("...", "tea", Match::Ngram, 3).is_nan());
        assert!(parts(&of(&"word ".repeat(100_000)), Match::Ngram, 8).len() <= MOST);
    }
}
