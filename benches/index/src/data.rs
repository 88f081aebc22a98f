//! Data sets: vectors, queries, and the exact answers to them.

use qianmian_core::ItemRow;
use qianmian_index::{Generation, Metric, Mode};

/// Rows asked for.
pub const K: usize = 10;

/// Vectors to build from and queries to ask.
pub struct Data {
    /// As it stands in the lines.
    pub name: String,
    /// What makes two vectors alike.
    pub metric: Metric,
    /// Numbers a vector.
    pub dim: usize,
    /// Row-major.
    pub base: Vec<f32>,
    /// Row-major.
    pub queries: Vec<f32>,
}

impl Data {
    /// The same data set without its vectors and queries.
    pub fn named(&self) -> Self {
        let (name, metric, dim) = (self.name.clone(), self.metric, self.dim);
        Self { name, metric, dim, base: Vec::new(), queries: Vec::new() }
    }

    /// Vectors there are.
    pub fn rows(&self) -> usize {
        self.base.len() / self.dim
    }

    /// The metric's name for the peers.
    pub fn metric_name(&self) -> &'static str {
        match self.metric {
            Metric::Cosine => "cosine",
            Metric::Dot => "dot",
            Metric::L2 => "l2",
        }
    }

    /// A mixture: clusters of different width, and queries of the same making. Always the same numbers.
    pub fn mixture(name: &str, rows: usize, dim: usize, queries: usize) -> Self {
        let mut random = Random(17);
        let clusters = 256;
        let centres: Vec<f32> = (0..clusters * dim).map(|_| random.normal()).collect();
        let mut draw = |count: usize| {
            let mut values = Vec::with_capacity(count * dim);
            for _ in 0..count {
                let centre = (random.next() % clusters as u64) as usize * dim;
                let spread = 0.3 + (random.next() % 8) as f32 / 10.0;
                values.extend((0..dim).map(|i| centres[centre + i] + spread * random.normal()));
            }
            values
        };
        let base = draw(rows);
        let queries = draw(queries);
        Self { name: name.to_owned(), metric: Metric::Cosine, dim, base, queries }
    }

    /// The exact answers, row-major.
    pub fn truth(&self, generation: &Generation, keep: Option<&dyn Fn(ItemRow) -> bool>) -> anyhow::Result<Vec<u32>> {
        let mut truth = Vec::with_capacity(self.queries.len() / self.dim * K);
        for query in self.queries.chunks_exact(self.dim) {
            let found = generation.search(query, K, keep, Mode::Exact)?;
            truth.extend(found.iter().map(|f| f.0.0).chain(std::iter::repeat(u32::MAX)).take(K));
        }
        Ok(truth)
    }
}

/// A small generator, so that the data never changes under the figures.
pub struct Random(pub u64);

impl Random {
    /// 64 random bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    /// About normal: the sum of four uniform numbers.
    pub fn normal(&mut self) -> f32 {
        (0..4).map(|_| (self.next() >> 40) as f32 / (1 << 24) as f32 - 0.5).sum::<f32>() * 1.73
    }
}
