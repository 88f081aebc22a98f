//! What a component would cost to compile, before it is: a few kilobytes can take minutes and gigabytes. The limits are a
//! few times what the largest real engines and parsers need, and were chosen by measuring what a hostile one costs.

use crate::LoadError;
use std::mem::take;
use wasmparser::{
    BinaryReaderError, ComponentInstance, FuncToValidate, FuncValidatorAllocations, FunctionBody, Operator,
    OperatorsReader, Payload, WasmModuleResources,
};

/// Components inside, as often as they are made: each may be made of several of another, so that they multiply.
const MAX_COMPONENTS: u64 = 1_000;
/// Components within components.
const MAX_NESTED: u64 = 20;
/// Functions of all modules together.
const MAX_FUNCTIONS: u64 = 20_000;
/// Types: each costs a way in and a way out.
const MAX_TYPES: u64 = 5_000;
/// Segments of elements.
const MAX_ELEMENTS: u64 = 1_000;
/// Bytes of one function.
const MAX_FUNCTION: u64 = 128 << 10;
/// Variables of one function: four bytes may declare fifty thousand of them.
const MAX_LOCALS: u64 = 1_000;
/// Values that one function works on at once: compiling takes time by the square of them.
const MAX_STACK: u64 = 500;
/// Blocks within blocks.
const MAX_BLOCKS: u64 = 2_000;
/// Loops within loops: two thousand took 22 s.
const MAX_NESTED_LOOPS: u64 = 50;
/// Loops of one function: ten thousand took 18 s.
const MAX_LOOPS: u64 = 500;
/// Loops of all functions together.
const MAX_ALL_LOOPS: u64 = 20_000;
/// Ways out of all jump tables together.
const MAX_TARGETS: u64 = 100_000;
/// Branches times variables of their function, all functions together: each branch may carry each variable on.
const MAX_CARRIED: u64 = 3_000_000;

/// Sums over all parts of a component.
#[derive(Default)]
pub(crate) struct Costs {
    functions: u64,
    types: u64,
    elements: u64,
    loops: u64,
    targets: u64,
    carried: u64,
    /// For each component that is open how many others it is made of, `None` for a module.
    open: Vec<Option<u64>>,
    /// What the costliest component so far is made of, itself included.
    largest: u64,
    allocations: FuncValidatorAllocations,
}

impl Costs {
    /// Adds a part other than a function's body.
    ///
    /// # Errors
    /// [`LoadError::Needs`] for the first sum that is too large.
    pub fn part(&mut self, payload: &Payload<'_>) -> Result<(), LoadError> {
        match payload {
            Payload::Version { encoding: wasmparser::Encoding::Module, .. } => self.open.push(None),
            Payload::Version { .. } => self.open.push(Some(0)),
            Payload::End(_) => {
                if let Some(Some(made)) = self.open.pop() {
                    self.largest = self.largest.max(made.saturating_add(1));
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section.clone() {
                    // Of which one it is made is not followed: the costliest so far is the worst it can be.
                    if let (ComponentInstance::Instantiate { .. }, Some(Some(made))) =
                        (instance.map_err(invalid)?, self.open.last_mut())
                    {
                        *made = made.saturating_add(self.largest);
                        within("components inside", *made, MAX_COMPONENTS)?;
                    }
                }
            }
            Payload::TypeSection(section) => {
                self.types += u64::from(section.count());
                within("types", self.types, MAX_TYPES)?;
            }
            Payload::ElementSection(section) => {
                self.elements += u64::from(section.count());
                within("segments of elements", self.elements, MAX_ELEMENTS)?;
            }
            _ => {}
        }
        within("components within components", self.open.len() as u64, MAX_NESTED)
    }

    /// Validates and adds a function.
    ///
    /// # Errors
    /// [`LoadError::Invalid`], and [`LoadError::Needs`] for the first sum that is too large.
    pub fn function<T: WasmModuleResources>(
        &mut self,
        function: FuncToValidate<T>,
        body: &FunctionBody<'_>,
    ) -> Result<(), LoadError> {
        self.functions += 1;
        within("functions", self.functions, MAX_FUNCTIONS)?;
        within("bytes of one function", body.range().len() as u64, MAX_FUNCTION)?;
        let mut validator = function.into_validator(take(&mut self.allocations));
        let mut reader = body.get_binary_reader();
        validator.read_locals(&mut reader).map_err(invalid)?;
        let locals = u64::from(validator.len_locals());
        within("variables of one function", locals, MAX_LOCALS)?;
        let mut operators = OperatorsReader::new(reader);
        // Whether each block that is open is a loop.
        let (mut open, mut nested, mut loops, mut branches) = (Vec::new(), 0u64, 0u64, 0u64);
        while !operators.eof() {
            let (operator, at) = operators.read_with_offset().map_err(invalid)?;
            validator.op(at, &operator).map_err(invalid)?;
            match &operator {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                    let again = matches!(operator, Operator::Loop { .. });
                    open.push(again);
                    loops += u64::from(again);
                    nested += u64::from(again);
                    branches += 1;
                    within("blocks within blocks", open.len() as u64, MAX_BLOCKS)?;
                    within("loops within loops", nested, MAX_NESTED_LOOPS)?;
                    within("loops of one function", loops, MAX_LOOPS)?;
                }
                Operator::End => nested -= u64::from(open.pop() == Some(true)),
                Operator::Else | Operator::Br { .. } | Operator::BrIf { .. } => branches += 1,
                Operator::BrTable { targets } => {
                    let targets = u64::from(targets.len()) + 1;
                    branches += targets;
                    self.targets += targets;
                    within("targets of jump tables", self.targets, MAX_TARGETS)?;
                }
                _ => {}
            }
            within("values at once", u64::from(validator.operand_stack_height()), MAX_STACK)?;
        }
        operators.finish().map_err(invalid)?;
        self.allocations = validator.into_allocations();
        self.loops += loops;
        within("loops", self.loops, MAX_ALL_LOOPS)?;
        self.carried += branches * locals;
        within("branches times variables", self.carried, MAX_CARRIED)
    }
}

pub(crate) fn invalid(error: BinaryReaderError) -> LoadError {
    LoadError::Invalid(error.to_string())
}

pub(crate) fn within(what: &'static str, got: u64, limit: u64) -> Result<(), LoadError> {
    if got > limit { Err(LoadError::Needs { what, got, limit }) } else { Ok(()) }
}
