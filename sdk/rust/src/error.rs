//! Errors of host operations, and refusing to answer.

use std::fmt;

/// What a strategy's functions return.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a host operation could not be done, or why the strategy refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A space, model, source or column that is not there.
    Unknown(String),
    /// A wrong argument or expression.
    Invalid(String),
    /// It is there but failed now.
    Failed(String),
    /// The strategy's needs do not name it, or the scenario does not allow it.
    Denied(String),
    /// The strategy's own refusal.
    Reject(String),
}

impl Error {
    /// The strategy refuses to answer; the scenario's fallback does.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject(reason.into())
    }

    /// The same error, saying where it happened.
    #[must_use]
    pub fn at(self, place: &str) -> Self {
        let add = |text: String| format!("{place}: {text}");
        match self {
            Self::Unknown(text) => Self::Unknown(add(text)),
            Self::Invalid(text) => Self::Invalid(add(text)),
            Self::Failed(text) => Self::Failed(add(text)),
            Self::Denied(text) => Self::Denied(add(text)),
            Self::Reject(text) => Self::Reject(add(text)),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(text)
            | Self::Invalid(text)
            | Self::Failed(text)
            | Self::Denied(text)
            | Self::Reject(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

/// The same error of one world's bindings.
macro_rules! from_contract {
    ($feature:literal, $error:path) => {
        #[cfg(feature = $feature)]
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                use $error as Theirs;
                match error {
                    Theirs::Unknown(text) => Self::Unknown(text),
                    Theirs::Invalid(text) => Self::Invalid(text),
                    Theirs::Failed(text) => Self::Failed(text),
                    Theirs::Denied(text) => Self::Denied(text),
                }
            }
        }
    };
}
from_contract!("strategy", crate::bindings::qianmian::strategy::types::Error);
from_contract!("tagger", crate::tagger::bindings::qianmian::strategy::types::Error);

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// Going on without what only makes the answer better.
pub trait Optional<T> {
    /// `None` where a model or a space is not there, is denied or failed; the host has already marked the answer as degraded.
    ///
    /// # Errors
    /// A wrong argument stays an error.
    fn optional(self) -> Result<Option<T>>;
}

impl<T> Optional<T> for Result<T> {
    fn optional(self) -> Result<Option<T>> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(Error::Unknown(_) | Error::Failed(_) | Error::Denied(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, Optional};

    #[test]
    fn only_what_makes_it_better_is_optional() {
        assert_eq!(Ok(1).optional(), Ok(Some(1)));
        assert_eq!(Err::<(), _>(Error::Unknown("m".into())).optional(), Ok(None));
        assert_eq!(Err::<(), _>(Error::Failed("m".into())).optional(), Ok(None));
        assert!(Err::<(), _>(Error::Invalid("m".into())).optional().is_err());
        assert_eq!(Error::Invalid("bad".into()).at("shelf 2, step 3").to_string(), "shelf 2, step 3: bad");
    }
}
