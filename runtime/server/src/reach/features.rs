//! Feature columns gathered into one matrix: the same function serves, explains and exports for training.

use qianmian_core::{Candidates, ColumnValues, Columns, ItemRow, ReachError, Request, RequestContext, Visitor};
use std::sync::Arc;

/// Whether a column belongs to the candidate set (source scores and ranks) and not to the host.
#[must_use]
pub fn is_set_column(name: &str) -> bool {
    name.starts_with("source.") || !name.contains('.')
}

/// Checks that each feature is a column of the set or a number of the host, for a visitor nobody knows and some item.
///
/// # Errors
/// The first that is not, and what there is instead.
pub fn check_features(columns: &dyn Columns, some: &[ItemRow], names: &[String]) -> Result<(), String> {
    let nobody = RequestContext::new(Request::default(), Arc::new(Visitor::default()), 0, 0);
    for name in names.iter().filter(|name| !is_set_column(name)) {
        match columns.column(&nobody, some, name) {
            Ok(ColumnValues::Numbers(_)) => {}
            Ok(_) => return Err(format!("feature {name:?} is text: a ranker takes numbers")),
            Err(error) => return Err(format!("feature {name:?}: {error}")),
        }
    }
    Ok(())
}

/// The features of every candidate, row-major `[candidates, names]`; missing values are NaN. A set column the set does
/// not have (a source the strategy did not ask) is all NaN: the ranker was trained with such gaps.
///
/// # Errors
/// A host column that does not exist, or one that is not numeric.
pub fn feature_matrix(
    columns: &dyn Columns,
    ctx: &RequestContext,
    candidates: &Candidates,
    names: &[String],
) -> Result<Vec<f32>, ReachError> {
    let width = names.len();
    let mut matrix = vec![f32::NAN; candidates.len() * width];
    for (feature, name) in names.iter().enumerate() {
        if let Some(values) = candidates.column(name) {
            scatter(&mut matrix, values, feature, width);
        } else if !is_set_column(name) {
            match columns.column(ctx, candidates.rows(), name)? {
                ColumnValues::Numbers(values) => scatter(&mut matrix, &values, feature, width),
                ColumnValues::Texts(_) | ColumnValues::Lists(_) => {
                    return Err(ReachError::Invalid(format!("feature {name:?} is not a number")));
                }
            }
        }
    }
    Ok(matrix)
}

fn scatter(matrix: &mut [f32], values: &[f32], feature: usize, width: usize) {
    for (row, value) in matrix.chunks_exact_mut(width).zip(values) {
        row[feature] = *value;
    }
}
