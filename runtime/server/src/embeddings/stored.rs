//! How a whole set of vectors is stored: one blob, by digest.

use super::Vectors;
use anyhow::Context;

/// First bytes of a stored set; the last digit is the format's version.
const MAGIC: &[u8; 8] = b"QMEMBED1";

/// Magic, count, dimension, then each id (length, bytes) and its numbers, little endian.
pub(super) fn encode(vectors: &Vectors) -> Vec<u8> {
    let dim = vectors.values().next().map_or(0, Vec::len);
    let mut bytes = Vec::with_capacity(16 + vectors.len() * (12 + dim * 4));
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&(vectors.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&(dim as u32).to_le_bytes());
    for (id, vector) in vectors {
        bytes.extend_from_slice(&(id.len() as u32).to_le_bytes());
        bytes.extend_from_slice(id.as_bytes());
        for value in vector {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
    }
    bytes
}

/// Each id and the bytes of its numbers, in order.
///
/// # Errors
/// Bytes that are no stored set, or not a whole one.
fn entries(bytes: &[u8]) -> anyhow::Result<Vec<(&str, &[u8])>> {
    let mut rest = bytes.strip_prefix(MAGIC).context("not a stored embedding set of format 1")?;
    let mut take = |count: usize| -> anyhow::Result<&[u8]> {
        let (head, tail) = rest.split_at_checked(count).context("a stored embedding set is cut short")?;
        rest = tail;
        Ok(head)
    };
    let mut number = || -> anyhow::Result<usize> { Ok(u32::from_le_bytes(take(4)?.try_into()?) as usize) };
    let (count, dim) = (number()?, number()?);
    let mut entries = Vec::new();
    for _ in 0..count {
        let length = u32::from_le_bytes(take(4)?.try_into()?) as usize;
        let id = std::str::from_utf8(take(length)?)?;
        entries.push((id, take(dim * 4)?));
    }
    Ok(entries)
}

/// The ids of a stored set, in order.
///
/// # Errors
/// As [`decode`].
pub(super) fn ids(bytes: &[u8]) -> anyhow::Result<Vec<&str>> {
    Ok(entries(bytes)?.into_iter().map(|(id, _)| id).collect())
}

/// The whole set.
///
/// # Errors
/// Bytes that are no stored set, or not a whole one.
pub(super) fn decode(bytes: &[u8]) -> anyhow::Result<Vectors> {
    let numbers = |bytes: &[u8]| bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    Ok(entries(bytes)?.into_iter().map(|(id, bytes)| (id.to_owned(), numbers(bytes))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_set_comes_back_and_a_cut_one_does_not() {
        let vectors = Vectors::from([("a".to_owned(), vec![1.0, -2.5]), ("乙".to_owned(), vec![0.0, 3.0])]);
        let bytes = encode(&vectors);
        assert_eq!(decode(&bytes).expect("whole"), vectors);
        assert_eq!(ids(&bytes).expect("whole"), ["a", "乙"]);
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }
}
