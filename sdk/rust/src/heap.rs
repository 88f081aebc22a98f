//! The strategy's heap. A call lives for less than a millisecond, and asking the host for memory costs more than all of
//! its allocations: growing, and taking back what was grown, changes page tables under every other call. So the first
//! part of the heap is memory that the module is born with, and only what does not fit there grows.

#![allow(unsafe_code, reason = "an allocator hands out raw memory")]

use core::alloc::Layout;
use talc::base::{CHUNK_UNIT, Talc, binning::Binning};
use talc::cell::TalcSyncCell;
use talc::source::Source;
use talc::wasm::WasmBinning;

/// Enough for every shipped strategy at a thousand candidates.
const ARENA: usize = 160 << 10;
const PAGE: usize = 64 << 10;

static mut MEMORY: [u8; ARENA] = [0; ARENA];

#[global_allocator]
static HEAP: TalcSyncCell<ArenaThenGrow, WasmBinning> = TalcSyncCell::new_wasm(ArenaThenGrow { claimed: false });

#[derive(Debug)]
struct ArenaThenGrow {
    claimed: bool,
}

// SAFETY: it allocates nothing itself, and hands each region over once.
unsafe impl Source for ArenaThenGrow {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        if !talc.source.claimed {
            talc.source.claimed = true;
            // SAFETY: nobody else names MEMORY, and this runs once.
            return unsafe { talc.claim((&raw mut MEMORY).cast(), ARENA) }.map(drop).ok_or(());
        }
        let pages = (layout.size() + layout.align() + CHUNK_UNIT).div_ceil(PAGE);
        let before = core::arch::wasm32::memory_grow::<0>(pages);
        if before == usize::MAX {
            return Err(());
        }
        // SAFETY: these pages are new, so nobody else uses them.
        unsafe { talc.claim((before * PAGE) as *mut u8, pages * PAGE) }.map(drop).ok_or(())
    }
}
