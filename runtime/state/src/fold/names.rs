//! Numbers that outlive the process: what is kept on disk names items, categories and brands by these, because rows and
//! symbols are each process's own.

use crate::bytes::{Reader, put_text};

/// Names of one cell.
const CHUNK: usize = 1_024;
/// What has no number.
const NONE: u32 = u32::MAX;

/// The numbers of one sort of things, both ways.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// The kept number of each own one.
    kept: Vec<u32>,
    /// The own number of each kept one.
    own: Vec<u32>,
    /// Own numbers below have a kept one.
    seen: usize,
    /// Names of kept numbers below are on disk.
    written: usize,
}

impl Numbers {
    /// The kept number of an own one that was there at the last [`Self::extend`].
    pub fn kept(&self, own: u32) -> u32 {
        self.kept.get(own as usize).copied().unwrap_or(NONE)
    }

    /// The own number of a kept one.
    pub fn own(&self, kept: u32) -> Option<u32> {
        self.own.get(kept as usize).copied()
    }

    /// Numbers what came since, of `len` there are now.
    pub fn extend(&mut self, len: usize) {
        self.kept.resize(len.max(self.kept.len()), NONE);
        for own in self.seen..len {
            if self.kept[own] == NONE {
                self.kept[own] = self.own.len() as u32;
                self.own.push(own as u32);
            }
        }
        self.seen = len;
    }

    /// The chunks of names that changed since the last call; with `all`, every one.
    pub fn take_unwritten(&mut self, all: bool) -> std::ops::Range<usize> {
        let written = std::mem::replace(&mut self.written, self.own.len());
        let chunks = self.own.len().div_ceil(CHUNK);
        if all {
            0..chunks
        } else if written == self.own.len() {
            0..0
        } else {
            written / CHUNK..chunks
        }
    }

    /// Numbers given.
    pub fn len(&self) -> u32 {
        self.own.len() as u32
    }

    /// Takes the own numbers of what was kept, in the order of the kept ones.
    pub fn restore(own: Vec<u32>) -> Self {
        let mut kept = vec![NONE; own.iter().map(|own| *own as usize + 1).max().unwrap_or(0)];
        own.iter().zip(0..).for_each(|(own, number)| kept[*own as usize] = number);
        Self { kept, written: own.len(), own, seen: 0 }
    }

    /// The names of one chunk, as they are kept.
    pub fn pack(&self, chunk: usize, name: impl Fn(u32) -> std::sync::Arc<str>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(CHUNK * 12);
        let own = self.own.iter().skip(chunk * CHUNK).take(CHUNK);
        own.for_each(|own| put_text(&mut bytes, &name(*own)));
        bytes
    }
}

/// The names of one chunk; none for other bytes.
pub(super) fn unpack(bytes: &[u8]) -> Option<Vec<String>> {
    let mut from = Reader { bytes };
    let mut names = Vec::new();
    while !from.bytes.is_empty() {
        names.push(from.text()?);
    }
    Some(names)
}

/// Of items, and of categories and brands.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub items: Numbers,
    pub symbols: Numbers,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_given_once_and_found_again() {
        let mut numbers = Numbers::default();
        let mut extend = |len| {
            numbers.extend(len);
            numbers.take_unwritten(false)
        };
        assert_eq!([0, 1_500, 1_500, 1_501].map(&mut extend), [0..0, 0..2, 0..0, 1..2]);
        assert_eq!(numbers.take_unwritten(true), 0..2);
        let name = |own: u32| format!("n{own}").into();
        let names: Vec<String> = (0..2).flat_map(|chunk| unpack(&numbers.pack(chunk, name)).unwrap()).collect();
        assert_eq!((names.len(), names[1_500].as_str()), (1_501, "n1500"));
        // another process, in which things have other numbers, and some are new
        let mut again = Numbers::restore((0..1_501).rev().collect());
        assert_eq!((again.kept(1_500), again.own(0), again.own(1_501)), (0, Some(1_500), None));
        assert_eq!(again.kept(1_501), NONE);
        again.extend(1_503);
        assert_eq!(again.take_unwritten(false), 1..2);
        assert_eq!((again.kept(1_502), again.own(1_501)), (1_502, Some(1_501)));
        assert_eq!(unpack(&[5, 0]), None);
    }
}
