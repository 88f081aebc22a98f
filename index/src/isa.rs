//! The instructions a machine has beyond those every generic kernel may use: products of 8-bit codes, and prefetching.

use crate::signs::Halves;
#[cfg(target_arch = "x86_64")]
use pulp::NullaryFnOnce;
use pulp::{Arch, Simd, WithSimd};

/// One set of instructions.
pub(crate) trait Isa: Copy {
    /// What kernels over `f32` are written against.
    type Simd: Simd;

    /// The same instructions for those.
    fn simd(self) -> Self::Simd;

    /// The sum of products of two slices whose common length is a multiple of 32, if it fits an `i32`.
    fn dot_codes(self, codes: &[i8], query: &[i16]) -> i32;

    /// The same for four slices of codes, each at least as long as the query: their lanes are added up together, which
    /// costs about as much as it does for one. (Closures given to `map` lose the instructions: none in these paths.)
    #[inline(always)]
    fn dot_four(self, codes: [&[i8]; 4], query: &[i16]) -> [i32; 4] {
        let [a, b, c, d] = codes;
        [self.dot_codes(a, query), self.dot_codes(b, query), self.dot_codes(c, query), self.dot_codes(d, query)]
    }

    /// The same for 64 rows at once that lie pair by pair: two codes of the first row, two of the second, and so on, then
    /// the next two of each. No lanes are added up at all.
    #[inline(always)]
    fn dot_pairs(self, codes: &[[i8; 128]], query: &[[i16; 2]]) -> [i32; 64] {
        let mut sums = [0i32; 64];
        for (codes, query) in codes.iter().zip(query) {
            for (sum, code) in sums.iter_mut().zip(codes.as_chunks::<2>().0) {
                *sum += i32::from(code[0]) * i32::from(query[0]) + i32::from(code[1]) * i32::from(query[1]);
            }
        }
        sums
    }

    /// For each of 64 rows, whose bytes lie beside one another, the sum of what its bytes are worth by their halves. No eight
    /// bytes from a multiple of eight on are worth more than 255.
    #[inline(always)]
    fn sum_halves(self, bytes: &[[u8; 64]], tables: &[Halves]) -> [u16; 64] {
        let mut sums = [0u16; 64];
        for (bytes, [low, high]) in bytes.iter().zip(tables) {
            for (sum, byte) in sums.iter_mut().zip(bytes) {
                *sum += u16::from(low[usize::from(byte & 15)]) + u16::from(high[usize::from(byte >> 4)]);
            }
        }
        sums
    }

    /// One bit for each that is at least so much.
    #[inline(always)]
    fn at_least(self, sums: &[u16; 64], least: u16) -> u64 {
        sums.iter().rev().fold(0, |bits, &sum| bits << 1 | u64::from(sum >= least))
    }

    /// Asks for the cache line of `data[at]`; says nothing about what is there.
    fn prefetch<T>(self, data: &[T], at: usize);
}

/// Something to be done with the widest instructions there are.
pub(crate) trait Work {
    type Output;

    /// Does it; must be `#[inline(always)]`.
    fn run<I: Isa>(self, isa: I) -> Self::Output;
}

/// Does `work` with the instructions of `arch`.
pub(crate) fn dispatch<W: Work>(arch: Arch, work: W) -> W::Output {
    match arch {
        #[cfg(target_arch = "x86_64")]
        Arch::V4(isa) => isa.vectorize(With(work, isa)),
        #[cfg(target_arch = "x86_64")]
        Arch::V3(isa) => isa.vectorize(With(work, isa)),
        other => other.dispatch(Generic(work)),
    }
}

/// Work with the instructions it is for.
#[cfg(target_arch = "x86_64")]
struct With<W, I>(W, I);

#[cfg(target_arch = "x86_64")]
impl<W: Work, I: Isa> NullaryFnOnce for With<W, I> {
    type Output = W::Output;

    #[inline(always)]
    fn call(self) -> W::Output {
        self.0.run(self.1)
    }
}

/// Work for whatever `pulp` finds.
struct Generic<W>(W);

impl<W: Work> WithSimd for Generic<W> {
    type Output = W::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> W::Output {
        self.0.run(Portable(simd))
    }
}

/// Codes are left to the compiler, and nothing is prefetched.
#[derive(Clone, Copy)]
struct Portable<S>(S);

impl<S: Simd> Isa for Portable<S> {
    type Simd = S;

    #[inline(always)]
    fn simd(self) -> S {
        self.0
    }

    #[inline(always)]
    fn dot_codes(self, codes: &[i8], query: &[i16]) -> i32 {
        codes.iter().zip(query).map(|(&code, &query)| i32::from(code) * i32::from(query)).sum()
    }

    #[inline(always)]
    fn prefetch<T>(self, _: &[T], _: usize) {}
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Isa;
    use crate::signs::{Halves, TOGETHER};
    use pulp::bytemuck::cast;
    use pulp::x86::{V3, V4};
    use std::arch::x86_64::{__m128i, __m256i, __m512i};

    /// Into all caches.
    const T0: i32 = 3;

    impl Isa for V4 {
        type Simd = Self;

        #[inline(always)]
        fn simd(self) -> Self {
            self
        }

        #[inline(always)]
        fn dot_codes(self, codes: &[i8], query: &[i16]) -> i32 {
            let mut sums: [__m512i; 2] = [cast([0i64; 8]); 2];
            let product = |codes: &[i8; 32], query: &[i16; 32]| {
                let codes = self.avx512bw._mm512_cvtepi8_epi16(cast::<[i8; 32], __m256i>(*codes));
                self.avx512bw._mm512_madd_epi16(codes, cast::<[i16; 32], __m512i>(*query))
            };
            for (at, (codes, query)) in codes.as_chunks().0.iter().zip(query.as_chunks().0).enumerate() {
                sums[at % 2] = self.avx512f._mm512_add_epi32(sums[at % 2], product(codes, query));
            }
            self.avx512f._mm512_reduce_add_epi32(self.avx512f._mm512_add_epi32(sums[0], sums[1]))
        }

        #[inline(always)]
        fn dot_four(self, codes: [&[i8]; 4], query: &[i16]) -> [i32; 4] {
            let query = query.as_chunks::<32>().0;
            let count = query.len();
            let mut sums: [__m512i; 4] = [cast([0i64; 8]); 4];
            for (codes, sum) in codes.iter().zip(&mut sums) {
                for (codes, query) in codes.as_chunks::<32>().0[..count].iter().zip(query) {
                    let codes = self.avx512bw._mm512_cvtepi8_epi16(cast::<[i8; 32], __m256i>(*codes));
                    let product = self.avx512bw._mm512_madd_epi16(codes, cast::<[i16; 32], __m512i>(*query));
                    *sum = self.avx512f._mm512_add_epi32(*sum, product);
                }
            }
            // Two rounds of interleaving leave one sum of each in every lane of 128 bits.
            let (f, [a, b, c, d]) = (self.avx512f, sums);
            let ab = f._mm512_add_epi32(f._mm512_unpacklo_epi32(a, b), f._mm512_unpackhi_epi32(a, b));
            let cd = f._mm512_add_epi32(f._mm512_unpacklo_epi32(c, d), f._mm512_unpackhi_epi32(c, d));
            let all = f._mm512_add_epi32(f._mm512_unpacklo_epi64(ab, cd), f._mm512_unpackhi_epi64(ab, cd));
            let [low, high] = cast::<__m512i, [__m256i; 2]>(all);
            let [low, high] = cast::<__m256i, [__m128i; 2]>(self.avx2._mm256_add_epi32(low, high));
            cast(self.sse2._mm_add_epi32(low, high))
        }

        #[inline(always)]
        fn dot_pairs(self, codes: &[[i8; 128]], query: &[[i16; 2]]) -> [i32; 64] {
            let mut sums: [__m512i; 4] = [cast([0i64; 8]); 4];
            for (codes, query) in codes.iter().zip(query) {
                let query = self.avx512f._mm512_set1_epi32(cast::<[i16; 2], i32>(*query));
                for (sum, codes) in sums.iter_mut().zip(codes.as_chunks::<32>().0) {
                    let codes = self.avx512bw._mm512_cvtepi8_epi16(cast::<[i8; 32], __m256i>(*codes));
                    *sum = self.avx512f._mm512_add_epi32(*sum, self.avx512bw._mm512_madd_epi16(codes, query));
                }
            }
            cast(sums)
        }

        #[inline(always)]
        fn sum_halves(self, bytes: &[[u8; 64]], tables: &[Halves]) -> [u16; 64] {
            let (f, bw) = (self.avx512f, self.avx512bw);
            let half = f._mm512_set1_epi8(15);
            let mut sums: [__m512i; 2] = [cast([0i64; 8]); 2];
            for (bytes, tables) in bytes.chunks(TOGETHER).zip(tables.chunks(TOGETHER)) {
                let mut few: __m512i = cast([0i64; 8]);
                for (bytes, [low, high]) in bytes.iter().zip(tables) {
                    let bytes = cast::<[u8; 64], __m512i>(*bytes);
                    let low = f._mm512_broadcast_i32x4(cast::<[u8; 16], __m128i>(*low));
                    let high = f._mm512_broadcast_i32x4(cast::<[u8; 16], __m128i>(*high));
                    let upper = f._mm512_and_si512(bw._mm512_srli_epi16::<4>(bytes), half);
                    few = bw._mm512_add_epi8(few, bw._mm512_shuffle_epi8(low, f._mm512_and_si512(bytes, half)));
                    few = bw._mm512_add_epi8(few, bw._mm512_shuffle_epi8(high, upper));
                }
                let [a, b] = cast::<__m512i, [__m256i; 2]>(few);
                sums[0] = bw._mm512_add_epi16(sums[0], bw._mm512_cvtepu8_epi16(a));
                sums[1] = bw._mm512_add_epi16(sums[1], bw._mm512_cvtepu8_epi16(b));
            }
            cast(sums)
        }

        #[inline(always)]
        fn at_least(self, sums: &[u16; 64], least: u16) -> u64 {
            let [a, b] = cast::<[u16; 64], [__m512i; 2]>(*sums);
            let least = self.avx512f._mm512_set1_epi16(least.cast_signed());
            let bw = self.avx512bw;
            let (a, b) = (bw._mm512_cmpge_epu16_mask(a, least), bw._mm512_cmpge_epu16_mask(b, least));
            u64::from(b) << 32 | u64::from(a)
        }

        #[inline(always)]
        fn prefetch<T>(self, data: &[T], at: usize) {
            self.sse._mm_prefetch::<T0>(data.as_ptr().wrapping_add(at).cast());
        }
    }

    impl Isa for V3 {
        type Simd = Self;

        #[inline(always)]
        fn simd(self) -> Self {
            self
        }

        #[inline(always)]
        fn dot_codes(self, codes: &[i8], query: &[i16]) -> i32 {
            let mut sums: [__m256i; 2] = [cast([0i64; 4]); 2];
            let product = |codes: &[i8; 16], query: &[i16; 16]| {
                let codes = self.avx2._mm256_cvtepi8_epi16(cast::<[i8; 16], __m128i>(*codes));
                self.avx2._mm256_madd_epi16(codes, cast::<[i16; 16], __m256i>(*query))
            };
            for (at, (codes, query)) in codes.as_chunks().0.iter().zip(query.as_chunks().0).enumerate() {
                sums[at % 2] = self.avx2._mm256_add_epi32(sums[at % 2], product(codes, query));
            }
            let sum = self.avx2._mm256_add_epi32(sums[0], sums[1]);
            cast::<__m256i, [i32; 8]>(sum).iter().sum()
        }

        #[inline(always)]
        fn dot_four(self, codes: [&[i8]; 4], query: &[i16]) -> [i32; 4] {
            let query = query.as_chunks::<16>().0;
            let count = query.len();
            let mut sums: [__m256i; 4] = [cast([0i64; 4]); 4];
            for (codes, sum) in codes.iter().zip(&mut sums) {
                for (codes, query) in codes.as_chunks::<16>().0[..count].iter().zip(query) {
                    let codes = self.avx2._mm256_cvtepi8_epi16(cast::<[i8; 16], __m128i>(*codes));
                    let product = self.avx2._mm256_madd_epi16(codes, cast::<[i16; 16], __m256i>(*query));
                    *sum = self.avx2._mm256_add_epi32(*sum, product);
                }
            }
            let (two, [a, b, c, d]) = (self.avx2, sums);
            let all = two._mm256_hadd_epi32(two._mm256_hadd_epi32(a, b), two._mm256_hadd_epi32(c, d));
            let [low, high] = cast::<__m256i, [__m128i; 2]>(all);
            cast(self.sse2._mm_add_epi32(low, high))
        }

        #[inline(always)]
        fn dot_pairs(self, codes: &[[i8; 128]], query: &[[i16; 2]]) -> [i32; 64] {
            let mut sums: [__m256i; 8] = [cast([0i64; 4]); 8];
            for (codes, query) in codes.iter().zip(query) {
                let query = self.avx._mm256_set1_epi32(cast::<[i16; 2], i32>(*query));
                for (sum, codes) in sums.iter_mut().zip(codes.as_chunks::<16>().0) {
                    let codes = self.avx2._mm256_cvtepi8_epi16(cast::<[i8; 16], __m128i>(*codes));
                    *sum = self.avx2._mm256_add_epi32(*sum, self.avx2._mm256_madd_epi16(codes, query));
                }
            }
            cast(sums)
        }

        #[inline(always)]
        fn sum_halves(self, bytes: &[[u8; 64]], tables: &[Halves]) -> [u16; 64] {
            let two = self.avx2;
            let half = self.avx._mm256_set1_epi8(15);
            let mut sums: [__m256i; 4] = [cast([0i64; 4]); 4];
            for (bytes, tables) in bytes.chunks(TOGETHER).zip(tables.chunks(TOGETHER)) {
                let mut few: [__m256i; 2] = [cast([0i64; 4]); 2];
                for (bytes, [low, high]) in bytes.iter().zip(tables) {
                    let low = two._mm256_broadcastsi128_si256(cast::<[u8; 16], __m128i>(*low));
                    let high = two._mm256_broadcastsi128_si256(cast::<[u8; 16], __m128i>(*high));
                    for (few, bytes) in few.iter_mut().zip(cast::<[u8; 64], [__m256i; 2]>(*bytes)) {
                        let upper = two._mm256_and_si256(two._mm256_srli_epi16::<4>(bytes), half);
                        *few =
                            two._mm256_add_epi8(*few, two._mm256_shuffle_epi8(low, two._mm256_and_si256(bytes, half)));
                        *few = two._mm256_add_epi8(*few, two._mm256_shuffle_epi8(high, upper));
                    }
                }
                for (sum, sixteen) in sums.iter_mut().zip(cast::<[__m256i; 2], [__m128i; 4]>(few)) {
                    *sum = two._mm256_add_epi16(*sum, two._mm256_cvtepu8_epi16(sixteen));
                }
            }
            cast(sums)
        }

        #[inline(always)]
        fn at_least(self, sums: &[u16; 64], least: u16) -> u64 {
            let two = self.avx2;
            let least = self.avx._mm256_set1_epi16(least.cast_signed());
            let mut bits = 0;
            for thirty_two in cast::<[u16; 64], [[__m256i; 2]; 2]>(*sums).into_iter().rev() {
                let [a, b] = thirty_two;
                let a = two._mm256_cmpeq_epi16(two._mm256_max_epu16(a, least), a);
                let b = two._mm256_cmpeq_epi16(two._mm256_max_epu16(b, least), b);
                // Packing takes turns between the two, half by half.
                let both = two._mm256_permute4x64_epi64::<0b11_01_10_00>(two._mm256_packs_epi16(a, b));
                bits = bits << 32 | u64::from(two._mm256_movemask_epi8(both).cast_unsigned());
            }
            bits
        }

        #[inline(always)]
        fn prefetch<T>(self, data: &[T], at: usize) {
            self.sse._mm_prefetch::<T0>(data.as_ptr().wrapping_add(at).cast());
        }
    }
}

/// Every set of instructions this machine has, for tests that hold them against one another.
#[cfg(test)]
pub(crate) fn all() -> Vec<Arch> {
    let mut all = vec![Arch::Scalar];
    #[cfg(target_arch = "x86_64")]
    {
        all.extend(pulp::x86::V3::try_new().map(Arch::V3));
        all.extend(pulp::x86::V4::try_new().map(Arch::V4));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Product<'a>(&'a [i8], &'a [i16]);

    impl Work for Product<'_> {
        type Output = i32;

        #[inline(always)]
        fn run<I: Isa>(self, isa: I) -> i32 {
            isa.prefetch(self.0, 7);
            isa.dot_codes(self.0, self.1)
        }
    }

    struct Four<'a>([&'a [i8]; 4], &'a [i16]);

    impl Work for Four<'_> {
        type Output = [i32; 4];

        #[inline(always)]
        fn run<I: Isa>(self, isa: I) -> [i32; 4] {
            isa.dot_four(self.0, self.1)
        }
    }

    struct Pairs<'a>(&'a [[i8; 128]], &'a [[i16; 2]]);

    impl Work for Pairs<'_> {
        type Output = [i32; 64];

        #[inline(always)]
        fn run<I: Isa>(self, isa: I) -> [i32; 64] {
            isa.dot_pairs(self.0, self.1)
        }
    }

    #[test]
    fn products_of_pairs_are_the_same_everywhere() {
        let code = |pair: usize, row: usize, half: usize| ((pair * 53 + row * 37 + half * 101) % 255) as i8;
        let codes: Vec<[i8; 128]> = (0..33).map(|p| std::array::from_fn(|i| code(p, i / 2, i % 2))).collect();
        let query: Vec<[i16; 2]> = (0..33).map(|p| [p * 900 - 15_000, 7_000 - p * 300]).collect();
        for pairs in [0, 1, 2, 33] {
            let plain: [i32; 64] = std::array::from_fn(|row| {
                let products = |p: usize| {
                    i32::from(code(p, row, 0)) * i32::from(query[p][0])
                        + i32::from(code(p, row, 1)) * i32::from(query[p][1])
                };
                (0..pairs).map(products).sum()
            });
            for arch in all() {
                assert_eq!(dispatch(arch, Pairs(&codes[..pairs], &query)), plain, "{arch:?}, {pairs} pairs");
            }
        }
    }

    #[test]
    fn products_of_codes_are_the_same_everywhere() {
        for length in (0..=512).step_by(32) {
            let codes: Vec<i8> = (0..length).map(|i| (i * 37 % 255 - 127) as i8).collect();
            let query: Vec<i16> = (0..length).map(|i| (i * 1_000 % 32_767) as i16 - 16_000).collect();
            let plain: i64 = codes.iter().zip(&query).map(|(&c, &q)| i64::from(c) * i64::from(q)).sum();
            for arch in all() {
                assert_eq!(i64::from(dispatch(arch, Product(&codes, &query))), plain, "{arch:?}, length {length}");
                let shifted: Vec<i8> = codes.iter().map(|code| code / 2).collect();
                let one = dispatch(arch, Product(&shifted, &query));
                let four = dispatch(arch, Four([&codes, &shifted, &shifted, &codes], &query));
                assert_eq!(four.map(i64::from), [plain, one.into(), one.into(), plain], "{arch:?}, length {length}");
            }
        }
    }
}
