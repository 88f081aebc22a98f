//! Values while evaluating: one for all rows, or one a row. Columns are borrowed, results are reused as buffers.

use std::borrow::Cow;
use std::sync::Arc;

/// A number for all rows, or one a row; NaN means missing.
#[derive(Clone, Debug)]
pub(super) enum Number<'a> {
    One(f32),
    Many(Cow<'a, [f32]>),
}

/// A condition for all rows, or one a row.
#[derive(Clone, Debug)]
pub(super) enum Truth {
    One(bool),
    Many(Vec<bool>),
}

/// A text for all rows, or one a row; the empty one means missing.
#[derive(Clone, Debug)]
pub(super) enum Text<'a> {
    One(&'a str),
    Column(&'a [Arc<str>]),
    Many(Vec<&'a str>),
}

/// A list literal, or a list a row.
#[derive(Clone, Copy, Debug)]
pub(super) enum List<'a> {
    Numbers(&'a [f32]),
    Texts(&'a [Arc<str>]),
    Column(&'a [Arc<[Arc<str>]>]),
}

#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Number(Number<'a>),
    Truth(Truth),
    Text(Text<'a>),
    List(List<'a>),
}

impl Value<'_> {
    /// What it is, for error messages.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::Number(_) => "a number",
            Self::Truth(_) => "a condition",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
        }
    }
}

/// A result that is not finite is missing.
pub(super) fn finite(value: f32) -> f32 {
    if value.is_finite() { value } else { f32::NAN }
}

impl<'a> Number<'a> {
    pub(super) fn at(&self, row: usize) -> f32 {
        match self {
            Self::One(v) => *v,
            Self::Many(v) => v[row],
        }
    }

    /// `f` of each number, in place where the buffer is our own.
    pub(super) fn map(self, f: impl Fn(f32) -> f32) -> Self {
        match self {
            Self::One(v) => Self::One(finite(f(v))),
            Self::Many(Cow::Borrowed(v)) => Self::Many(Cow::Owned(v.iter().map(|x| finite(f(*x))).collect())),
            Self::Many(Cow::Owned(mut v)) => {
                v.iter_mut().for_each(|x| *x = finite(f(*x)));
                Self::Many(Cow::Owned(v))
            }
        }
    }

    /// `f` of each pair of numbers.
    pub(super) fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        match (self, other) {
            (a, Self::One(b)) => a.map(|a| f(a, b)),
            (Self::One(a), b) => b.map(|b| f(a, b)),
            (Self::Many(Cow::Owned(mut a)), Self::Many(b)) => {
                a.iter_mut().zip(b.iter()).for_each(|(a, b)| *a = finite(f(*a, *b)));
                Self::Many(Cow::Owned(a))
            }
            (Self::Many(a), Self::Many(b)) => {
                Self::Many(Cow::Owned(a.iter().zip(b.iter()).map(|(a, b)| finite(f(*a, *b))).collect()))
            }
        }
    }

    /// `f` of each pair of numbers, as conditions.
    pub(super) fn test(&self, other: &Self, f: impl Fn(f32, f32) -> bool) -> Truth {
        match (self, other) {
            (Self::One(a), Self::One(b)) => Truth::One(f(*a, *b)),
            (Self::Many(a), Self::One(b)) => Truth::Many(a.iter().map(|a| f(*a, *b)).collect()),
            (Self::One(a), Self::Many(b)) => Truth::Many(b.iter().map(|b| f(*a, *b)).collect()),
            (Self::Many(a), Self::Many(b)) => Truth::Many(a.iter().zip(b.iter()).map(|(a, b)| f(*a, *b)).collect()),
        }
    }

    /// True when every row is missing: an attribute none of these items has, which may be a text as well.
    pub(super) fn is_missing(&self) -> bool {
        match self {
            Self::One(_) => false,
            Self::Many(v) => v.iter().all(|x| x.is_nan()),
        }
    }

    /// Builds one number a row.
    pub(super) fn build(len: usize, f: impl Fn(usize) -> f32) -> Self {
        Self::Many(Cow::Owned((0..len).map(f).collect()))
    }
}

impl Truth {
    pub(super) fn at(&self, row: usize) -> bool {
        match self {
            Self::One(v) => *v,
            Self::Many(v) => v[row],
        }
    }

    pub(super) fn not(self) -> Self {
        match self {
            Self::One(v) => Self::One(!v),
            Self::Many(mut v) => {
                v.iter_mut().for_each(|x| *x = !*x);
                Self::Many(v)
            }
        }
    }

    /// `f` of each pair of conditions.
    pub(super) fn zip(self, other: Self, f: impl Fn(bool, bool) -> bool) -> Self {
        match (self, other) {
            (Self::One(a), Self::One(b)) => Self::One(f(a, b)),
            (Self::Many(mut a), b) => {
                a.iter_mut().enumerate().for_each(|(row, a)| *a = f(*a, b.at(row)));
                Self::Many(a)
            }
            (Self::One(a), Self::Many(mut b)) => {
                b.iter_mut().for_each(|b| *b = f(a, *b));
                Self::Many(b)
            }
        }
    }
}

impl<'a> Text<'a> {
    pub(super) fn at(&self, row: usize) -> &'a str {
        match self {
            Self::One(v) => v,
            Self::Column(v) => {
                let column: &'a [Arc<str>] = v;
                &column[row]
            }
            Self::Many(v) => v[row],
        }
    }

    pub(super) fn is_one(&self) -> bool {
        matches!(self, Self::One(_))
    }

    /// `f` of each text, as conditions.
    pub(super) fn test(&self, len: usize, f: impl Fn(&str) -> bool) -> Truth {
        match self {
            Self::One(v) => Truth::One(f(v)),
            Self::Column(v) => Truth::Many(v.iter().map(|t| f(t)).collect()),
            Self::Many(_) => Truth::Many((0..len).map(|row| f(self.at(row))).collect()),
        }
    }

    /// `f` of each pair of texts, as conditions.
    pub(super) fn test_pair(&self, other: &Self, len: usize, f: impl Fn(&str, &str) -> bool) -> Truth {
        match (self, other) {
            (a, Self::One(b)) => a.test(len, |a| f(a, b)),
            (Self::One(a), b) => b.test(len, |b| f(a, b)),
            (a, b) => Truth::Many((0..len).map(|row| f(a.at(row), b.at(row))).collect()),
        }
    }
}
