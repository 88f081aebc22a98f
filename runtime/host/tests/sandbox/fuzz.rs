//! Random bytes that are the same on every machine, and how much of them.

/// How many times as much as usual: `QIANMIAN_FUZZ`, else once. It is also the seed, so that more is not more of the same.
pub fn times() -> u32 {
    match std::env::var("QIANMIAN_FUZZ") {
        Ok(times) => times.parse().unwrap_or_else(|_| panic!("QIANMIAN_FUZZ is {times:?}: a number expected")),
        Err(_) => 1,
    }
}

/// So many bytes of splitmix64 (Steele, Lea and Flood, OOPSLA 2014).
pub fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    (0..count.div_ceil(8)).flat_map(|_| next().to_le_bytes()).take(count).collect()
}
