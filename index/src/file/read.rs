//! Opening a generation: every byte is checked before any of it is believed.

use super::write::{HEAD, HEADER};
use super::{FileError, MAGIC, Tag, VERSION, crc};
use crate::aligned::Aligned;
use crate::base::Base;
use crate::codes::Codes;
use crate::generation::{Generation, Part};
use crate::graph::{Entries, Graph};
use crate::kernel::MISSING;
use crate::overlay::Dead;
use crate::recent::Recent;
use crate::spec::{Metric, SpaceSpec};
use crate::table::Vectors;
use pulp::bytemuck::{Pod, cast_slice_mut};
use qianmian_core::ItemRow;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

impl Generation {
    /// Opens what [`Generation::save`] wrote. Reads all of it, and builds nothing.
    ///
    /// # Errors
    /// [`FileError::Io`]; [`FileError::Damaged`] when a byte is not what was written, or the whole makes no sense;
    /// [`FileError::Version`].
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let file = File::open(path).map_err(|source| FileError::io(path, source))?;
        let length = file.metadata().map_err(|source| FileError::io(path, source))?.len();
        let mut input = Input { file, path, left: length };
        let damaged = |what: &str| FileError::Damaged { path: path.to_path_buf(), what: what.to_owned() };
        if cfg!(target_endian = "big") {
            return Err(damaged("files are for little-endian machines"));
        }
        let mut header = [0u8; HEADER];
        input.fill(&mut header)?;
        let (begin, sum) = header.split_at(HEADER - 4);
        if begin[..8] != MAGIC {
            return Err(damaged("it does not begin as an index does"));
        }
        if crc(begin) != number(sum) as u32 {
            return Err(damaged("the header's checksum"));
        }
        let version = number(&begin[8..12]) as u32;
        if version != VERSION {
            return Err(FileError::Version { path: path.to_path_buf(), received: version, expected: VERSION });
        }
        if number(&begin[24..32]) != length {
            return Err(damaged("its length"));
        }
        let parts = number(&begin[12..16]);
        let mut all: Vec<Part> = Vec::new();
        for _ in 0..parts {
            let part = input.part()?;
            let first = all.first().map_or(&part.base, |first| &first.base);
            if first.vectors.dim() != part.base.vectors.dim() || first.spec != part.base.spec {
                return Err(damaged("parts that do not fit together"));
            }
            all.push(part);
        }
        let dim = all.first().ok_or_else(|| damaged("it has no parts"))?.base.vectors.dim();
        let rows: Vec<u32> = input.list(Tag::RecentRows)?;
        let values: Vec<f32> = input.list(Tag::RecentVectors)?;
        if values.len() != rows.len() * dim || input.left != 0 {
            return Err(damaged("recent rows that do not fit"));
        }
        let mut recent = Recent::default();
        for (&row, vector) in rows.iter().zip(values.chunks_exact(dim)) {
            recent.put(row, vector);
        }
        Ok(Self::from_parts(number(&begin[16..24]), all, recent))
    }
}

/// A little-endian number of up to eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// What is left of a file.
struct Input<'a> {
    file: File,
    path: &'a Path,
    left: u64,
}

impl Input<'_> {
    fn damaged(&self, what: impl Into<String>) -> FileError {
        FileError::Damaged { path: self.path.to_path_buf(), what: what.into() }
    }

    fn fill(&mut self, into: &mut [u8]) -> Result<(), FileError> {
        self.left = self.left.checked_sub(into.len() as u64).ok_or_else(|| self.damaged("it is cut short"))?;
        self.file.read_exact(into).map_err(|source| match source.kind() {
            std::io::ErrorKind::UnexpectedEof => self.damaged("it is cut short"),
            _ => FileError::io(self.path, source),
        })
    }

    /// The head of the next section, which must be this one: its length and checksum.
    fn head(&mut self, tag: Tag) -> Result<(usize, u32), FileError> {
        let mut head = [0u8; HEAD];
        self.fill(&mut head)?;
        let (begin, sum) = head.split_at(HEAD - 4);
        let length = number(&begin[4..12]);
        if crc(begin) != number(sum) as u32 || number(&begin[..4]) != tag as u64 || length > self.left {
            return Err(self.damaged(format!("the head of {tag:?}")));
        }
        Ok((length as usize, number(&begin[12..16]) as u32))
    }

    /// A section into memory that is there already, of exactly its length.
    fn into<T: Pod>(&mut self, tag: Tag, into: &mut [T]) -> Result<(), FileError> {
        let (length, sum) = self.head(tag)?;
        let bytes = cast_slice_mut::<T, u8>(into);
        if bytes.len() != length {
            return Err(self.damaged(format!("the length of {tag:?}")));
        }
        // In pieces that are still in the cache when they are summed.
        let mut hasher = crc32fast::Hasher::new();
        for piece in bytes.chunks_mut(1 << 18) {
            self.fill(piece)?;
            hasher.update(piece);
        }
        if hasher.finalize() != sum {
            return Err(self.damaged(format!("the checksum of {tag:?}")));
        }
        Ok(())
    }

    /// A section as a list of its own.
    fn list<T: Pod>(&mut self, tag: Tag) -> Result<Vec<T>, FileError> {
        let (length, sum) = self.head(tag)?;
        let mut list = vec![T::zeroed(); length / size_of::<T>()];
        let bytes = cast_slice_mut::<T, u8>(&mut list);
        if bytes.len() != length {
            return Err(self.damaged(format!("the length of {tag:?}")));
        }
        self.fill(bytes)?;
        if crc(bytes) != sum {
            return Err(self.damaged(format!("the checksum of {tag:?}")));
        }
        Ok(list)
    }

    fn part(&mut self) -> Result<Part, FileError> {
        let shape: Vec<u64> = self.list(Tag::Shape)?;
        let name: Vec<u8> = self.list(Tag::Name)?;
        let [len, dim, metric, exact, ef_search, m, ef_construction, codes, coded, width, several] = shape[..] else {
            return Err(self.damaged("the shape"));
        };
        let metric = match metric {
            0 => Metric::Cosine,
            1 => Metric::Dot,
            2 => Metric::L2,
            _ => return Err(self.damaged("the metric")),
        };
        let spec = SpaceSpec {
            name: String::from_utf8(name).map_err(|_| self.damaged("the name"))?,
            metric,
            exact: exact == 1,
            ef_search: ef_search as usize,
            m: m as usize,
            ef_construction: ef_construction as usize,
            codes: codes == 1,
        };
        // So that no room is made for more than the file holds.
        let numbers = len.checked_mul(dim).and_then(|numbers| numbers.checked_mul(4));
        if spec.check(dim as usize).is_err() || len == 0 || len >= 1 << 31 || numbers.is_none_or(|n| n > self.left) {
            return Err(self.damaged("the shape"));
        }
        let (len, dim) = (len as usize, dim as usize);
        let rows: Vec<u32> = self.list(Tag::Rows)?;
        if rows.len() != len {
            return Err(self.damaged("the rows"));
        }
        let mut vectors = Vectors::zeros(len, dim);
        self.into(Tag::Vectors, vectors.all_mut())?;
        let codes = self.codes(coded == 1, len, dim, metric)?;
        let graph = self.graph(&vectors, width as usize, several == 1)?;
        let mut dead = Dead::default();
        for at in self.list::<u32>(Tag::Dead)? {
            if at as usize >= len {
                return Err(self.damaged("the dead rows"));
            }
            dead.insert(at);
        }
        let gram: Vec<f64> = self.list(Tag::Gram)?;
        if !gram.is_empty() && gram.len() != dim * dim {
            return Err(self.damaged("the Gram matrix"));
        }
        let base = Base::from_file(spec, rows, vectors, codes, graph, gram);
        // A row that is there twice is found in one of its places only.
        if base.rows.iter().zip(0u32..).any(|(&row, at)| base.at(ItemRow(row)) != at) {
            return Err(self.damaged("the rows"));
        }
        Ok(Part { base: Arc::new(base), dead })
    }

    fn codes(&mut self, there: bool, len: usize, dim: usize, metric: Metric) -> Result<Option<Codes>, FileError> {
        let wrong = |input: &Self| input.damaged("the codes");
        if !there {
            let (codes, ranges) = (self.list::<i8>(Tag::Codes)?, self.list::<f32>(Tag::Ranges)?);
            return if codes.is_empty() && ranges.is_empty() { Ok(None) } else { Err(wrong(self)) };
        }
        let mut codes = Codes::room(len, dim, metric);
        self.into(Tag::Codes, codes.all_mut())?;
        let ranges: Vec<f32> = self.list(Tag::Ranges)?;
        if codes.set_ranges(&ranges) { Ok(Some(codes)) } else { Err(wrong(self)) }
    }

    fn graph(&mut self, vectors: &Vectors, width: usize, several: bool) -> Result<Option<Graph>, FileError> {
        let len = vectors.len();
        let links = width.checked_mul(len).filter(|&links| links as u64 <= self.left / 4);
        let mut links = Aligned::<u32>::zeros(links.ok_or_else(|| self.damaged("the graph"))?);
        self.into(Tag::Links, links.all_mut())?;
        let entries: Vec<u32> = self.list(Tag::Entries)?;
        let within = |list: &[u32], end: usize| list.iter().all(|&at| at == MISSING || (at as usize) < end);
        if width == 0 {
            return if entries.is_empty() { Ok(None) } else { Err(self.damaged("the graph")) };
        }
        let mut rest = entries.as_slice();
        let mut take = || -> Option<Vec<u32>> {
            let (&count, after) = rest.split_first()?;
            let (list, after) = after.split_at_checked(count as usize)?;
            rest = after;
            Some(list.to_vec())
        };
        let lists = (take(), take(), take());
        let (Some(rows), Some(first), Some(between)) = lists else { return Err(self.damaged("the entries")) };
        let good = rest.is_empty()
            && !rows.is_empty()
            && rows.iter().all(|&at| (at as usize) < len)
            && first.iter().all(|&at| (at as usize) < rows.len())
            && between.len() == rows.len() * Entries::WIDTH
            && within(&between, rows.len());
        if !good || !within(links.all(), len) {
            return Err(self.damaged("the graph"));
        }
        let entries = Entries::of(rows, between, first);
        Ok(Some(Graph::new(links, width, entries, several, vectors)))
    }
}
