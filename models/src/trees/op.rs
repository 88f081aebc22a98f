//! The ensemble as an operator of the inference engine, which does not have one.

use super::{Forest, parse};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

/// What the importer calls for a `TreeEnsembleRegressor`, or a `TreeEnsembleClassifier` whose labels were dropped.
pub(crate) fn build(_: &ParsingContext, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let forest = parse::forest(node).map_err(|e| format_err!("{e}"))?;
    Ok((expand(TreeOp(Arc::new(forest))), vec![]))
}

/// f32 `[n, F]` to f32 `[n, outputs]`.
#[derive(Clone, Debug)]
pub(crate) struct TreeOp(pub(crate) Arc<Forest>);

impl TreeOp {
    fn check_width(&self, width: usize) -> TractResult<()> {
        let needed = self.0.features();
        ensure!(width >= needed, "feature {} is out of range: the rows have {width}", needed.saturating_sub(1));
        Ok(())
    }
}

impl PartialEq for TreeOp {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for TreeOp {}

impl Hash for TreeOp {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl Expansion for TreeOp {
    fn name(&self) -> StaticName {
        "TreeEnsembleRegressor".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        s.equals(&inputs[0].datum_type, f32::datum_type())?;
        s.equals(&outputs[0].datum_type, f32::datum_type())?;
        s.equals(&inputs[0].rank, 2)?;
        s.equals(&outputs[0].rank, 2)?;
        s.equals(&outputs[0].shape[0], &inputs[0].shape[0])?;
        s.equals(&outputs[0].shape[1], self.0.outputs().to_dim())?;
        Ok(())
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, self.clone(), inputs)
    }
}

impl Op for TreeOp {
    fn name(&self) -> StaticName {
        "TreeEnsembleRegressor".into()
    }

    op_as_typed_op!();
}

impl EvalOp for TreeOp {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let [n, width] = *inputs[0].shape() else { bail!("expected rows of features, got {:?}", inputs[0]) };
        self.check_width(width)?;
        let mut scores = Tensor::zero::<f32>(&[n, self.0.outputs()])?;
        let rows = inputs[0].try_as_plain_ram()?;
        self.0.predict(rows.as_slice::<f32>()?, width, scores.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?);
        Ok(tvec!(scores.into_tvalue()))
    }
}

impl TypedOp for TreeOp {
    as_op!();

    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        ensure!(inputs[0].rank() == 2, "expected rows of features, got {:?}", inputs[0]);
        if let Ok(width) = inputs[0].shape[1].to_usize() {
            self.check_width(width)?;
        }
        Ok(tvec!(f32::fact([inputs[0].shape[0].clone(), self.0.outputs().to_dim()])))
    }
}
