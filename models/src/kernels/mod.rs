//! Arithmetic on slices, compiled for the widest vectors the machine has; no shapes and no graph.

pub(crate) mod dense;
pub(crate) mod math;
pub(crate) mod rows;
pub(crate) mod transpose;

use pulp::{Arch, Simd, WithSimd};

/// Runs a closure with the machine's widest instructions: its plain loops are vectorised for them. The closure must be
/// `#[inline(always)]` all the way down.
#[inline(always)]
pub(crate) fn wide<R>(f: impl FnOnce() -> R) -> R {
    struct Plain<F>(F);
    impl<R, F: FnOnce() -> R> WithSimd for Plain<F> {
        type Output = R;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> R {
            self.0()
        }
    }
    Arch::new().dispatch(Plain(f))
}
