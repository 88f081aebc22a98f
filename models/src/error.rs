//! The one error type of this crate.

use crate::manifest::Kind;

/// Why a model could not be loaded or run. Every text names the model, what came and what was expected.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// The manifest does not parse.
    #[error("manifest is not valid {format}: {detail}")]
    ManifestSyntax {
        /// JSON or TOML.
        format: &'static str,
        /// Where and why.
        detail: String,
    },
    /// The manifest contradicts itself or lacks a field its kind needs.
    #[error("manifest of model {model:?}: {detail}")]
    Manifest {
        /// The model.
        model: String,
        /// What is wrong and what to write instead.
        detail: String,
    },
    /// The file is not a model this runtime can serve.
    #[error("model {model:?} cannot be loaded: {detail}")]
    Load {
        /// The model.
        model: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The manifest's golden answers are not what the model answers.
    #[error(
        "model {model:?} fails its golden case {case}: output {position} is {got}, expected {expected} within \
         {tolerance}; the file and the manifest do not belong together, or an operator behaves differently here"
    )]
    Golden {
        /// The model.
        model: String,
        /// Number of the case, from 0.
        case: usize,
        /// Place in its output, from 0.
        position: usize,
        /// What the manifest says.
        expected: f32,
        /// What the model answered.
        got: f32,
        /// Allowed difference, relative to the larger of 1 and the expected value.
        tolerance: f32,
    },
    /// The call does not suit the kind of the model.
    #[error("model {model:?} is of kind {is}, this call needs {needs}")]
    Kind {
        /// The model.
        model: String,
        /// What it is.
        is: Kind,
        /// What the call is for.
        needs: Kind,
    },
    /// What was handed to the model has the wrong size or a value out of range.
    #[error("model {model:?}: {what} is {got}, expected {expected}")]
    Input {
        /// The model.
        model: String,
        /// Which argument.
        what: &'static str,
        /// What came.
        got: String,
        /// What was expected.
        expected: String,
    },
    /// The model failed while it ran.
    #[error("model {model:?} failed: {detail}")]
    Run {
        /// The model.
        model: String,
        /// How.
        detail: String,
    },
}

impl From<ModelError> for qianmian_core::ReachError {
    fn from(error: ModelError) -> Self {
        match &error {
            ModelError::Kind { .. } | ModelError::Input { .. } => Self::Invalid(error.to_string()),
            other => Self::Failed { what: "model".into(), detail: other.to_string() },
        }
    }
}
