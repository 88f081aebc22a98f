//! Arrays that searches read here and there: they begin on a cache line, and large ones lie on large pages where the
//! system has any. With pages of 4 KB nearly every read of a walk would miss the processor's table of pages too.

use crate::isa::Isa;
use memmap2::MmapMut;
use pulp::bytemuck::{Pod, cast_slice, cast_slice_mut};

/// Bytes of a cache line.
const LINE: usize = 64;

/// Bytes of a large page.
const PAGE: usize = 2 << 20;

/// Arrays of fewer bytes come from the heap.
const LARGE: usize = 2 * PAGE;

/// Cache lines of a row that are asked for ahead; what is beyond them the processor asks for by itself.
const ASKED: usize = 16;

/// Numbers of a length that never changes, so that their place never does.
#[derive(Debug)]
pub(crate) struct Aligned<T> {
    memory: Memory<T>,
    start: usize,
    len: usize,
}

#[derive(Debug)]
enum Memory<T> {
    Heap(Vec<T>),
    Pages(MmapMut),
}

impl<T: Pod> Aligned<T> {
    /// All zero.
    pub fn zeros(len: usize) -> Self {
        Self::on_pages(len).unwrap_or_else(|| {
            let line = LINE / size_of::<T>();
            let heap = vec![T::zeroed(); len + line];
            // Nobody promises that an offset can be told.
            let start = Some(heap.as_ptr().align_offset(LINE)).filter(|&start| start <= line).unwrap_or(0);
            Self { memory: Memory::Heap(heap), start, len }
        })
    }

    fn on_pages(len: usize) -> Option<Self> {
        let bytes = len * size_of::<T>();
        if bytes < LARGE {
            return None;
        }
        let map = MmapMut::map_anon(bytes + PAGE).ok()?;
        let start = Some(map.as_ptr().align_offset(PAGE)).filter(|&start| start <= PAGE).unwrap_or(0);
        #[cfg(target_os = "linux")]
        // A system without large pages says so, and gives small ones, which are enough for what fills no large one.
        map.advise_range(memmap2::Advice::HugePage, start, bytes / PAGE * PAGE).ok();
        let start = start / size_of::<T>();
        Some(Self { memory: Memory::Pages(map), start, len })
    }

    /// All of them. Costs a little: kernels ask once.
    #[inline(always)]
    pub fn all(&self) -> &[T] {
        let all = match &self.memory {
            Memory::Heap(heap) => heap,
            Memory::Pages(map) => cast_slice(map),
        };
        &all[self.start..self.start + self.len]
    }

    /// The same, to be written.
    #[inline(always)]
    pub fn all_mut(&mut self) -> &mut [T] {
        let all = match &mut self.memory {
            Memory::Heap(heap) => heap,
            Memory::Pages(map) => cast_slice_mut(map),
        };
        &mut all[self.start..self.start + self.len]
    }

    /// Bytes held.
    pub const fn bytes(&self) -> usize {
        self.len * size_of::<T>()
    }
}

impl<T: Pod> Clone for Aligned<T> {
    fn clone(&self) -> Self {
        let mut copy = Self::zeros(self.len);
        copy.all_mut().copy_from_slice(self.all());
        copy
    }
}

impl<T: Pod + PartialEq> PartialEq for Aligned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.all() == other.all()
    }
}

/// Rows of equal length, one after another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a, T> {
    all: &'a [T],
    stride: usize,
}

impl<'a, T> Rows<'a, T> {
    /// Of numbers whose count is a multiple of `stride`.
    #[inline(always)]
    pub fn new(all: &'a [T], stride: usize) -> Self {
        Self { all, stride }
    }

    /// The row at `at`.
    #[inline(always)]
    pub fn get(&self, at: u32) -> &'a [T] {
        let from = at as usize * self.stride;
        &self.all[from..from + self.stride]
    }

    /// Those from `at` on.
    #[inline(always)]
    pub fn from(&self, at: usize) -> std::slice::ChunksExact<'a, T> {
        self.all[at * self.stride..].chunks_exact(self.stride)
    }

    /// Asks the memory for the row at `at`.
    #[inline(always)]
    pub fn prefetch<I: Isa>(&self, isa: I, at: u32) {
        let (from, line) = (at as usize * self.stride, LINE / size_of::<T>());
        // A range with steps would divide.
        let (mut next, end) = (from, from + self.stride.min(ASKED * line));
        while next < end {
            isa.prefetch(self.all, next);
            next += line;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_arrays_begin_on_a_line() {
        for len in [0, 1, 100, LARGE / 4 - 1, LARGE / 4, LARGE + 3] {
            let mut array = Aligned::<f32>::zeros(len);
            assert_eq!((array.all().len(), array.bytes()), (len, 4 * len));
            assert_eq!(array.all().as_ptr().align_offset(LINE), 0, "{len}");
            assert!(array.all().iter().all(|&x| x == 0.0));
            if let Some(last) = array.all_mut().last_mut() {
                *last = 7.0;
                assert_ne!(array, Aligned::zeros(len));
            }
            assert_eq!(array.clone(), array);
        }
    }

    #[test]
    fn rows_follow_one_another() {
        let rows = Rows::new(&[1, 2, 3, 4, 5, 6], 2);
        assert_eq!((rows.get(0), rows.get(2)), (&[1, 2][..], &[5, 6][..]));
        assert_eq!(rows.from(1).map(|row| row[0]).collect::<Vec<_>>(), [3, 5]);
    }
}
