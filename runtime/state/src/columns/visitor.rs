//! `visitor.*`: one value for all rows.

use super::constant;
use crate::audience::NUMBERS;
use qianmian_core::{ColumnValues, RequestContext};
use std::sync::Arc;

pub(super) fn column(ctx: &RequestContext, len: usize, name: &str) -> Option<ColumnValues> {
    let visitor = &ctx.visitor;
    let list = |texts: &[Arc<str>]| ColumnValues::Lists(vec![Arc::from(texts); len]);
    Some(match name {
        "tags" => list(&visitor.tags),
        "segments" => list(&visitor.segments),
        "stage" => ColumnValues::Texts(vec![Arc::from(visitor.stage()); len]),
        name => {
            let (_, read) = NUMBERS.iter().find(|(known, _)| *known == name)?;
            constant(len, read(visitor, ctx.now))
        }
    })
}
