//! What must hold of a file before the engine sees it: every value has one maker that comes before its readers, tensors are
//! as long as they say and lie in the file, and nothing is larger than a model can be.

use rustc_hash::FxHashSet;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::{GraphProto, TensorProto};

/// Graphs within graphs.
const MOST_DEPTH: usize = 4;
const MOST_NODES: usize = 100_000;
const MOST_RANK: usize = 8;
/// Numbers in a tensor: 4 GB of floats.
const MOST_NUMBERS: u64 = 1 << 30;

/// Checks a file's graph.
///
/// # Errors
/// The first thing that is wrong, and where.
pub(crate) fn graph(graph: &GraphProto) -> Result<(), String> {
    inner(graph, &FxHashSet::default(), 0)
}

fn inner<'a>(graph: &'a GraphProto, outside: &FxHashSet<&'a str>, depth: usize) -> Result<(), String> {
    if depth > MOST_DEPTH {
        return Err(format!("graphs lie more than {MOST_DEPTH} deep in one another"));
    }
    if graph.node.len() > MOST_NODES {
        return Err(format!("{} nodes are more than {MOST_NODES}", graph.node.len()));
    }
    let mut known = outside.clone();
    for constant in &graph.initializer {
        tensor(constant)?;
        known.insert(constant.name.as_str());
    }
    if let Some(sparse) = graph.sparse_initializer.first() {
        let name = sparse.values.as_ref().map_or("", |values| values.name.as_str());
        return Err(format!("weights {name:?} are sparse: save them dense"));
    }
    for input in &graph.input {
        known.insert(input.name.as_str());
        dimensions(input)?;
    }
    for node in &graph.node {
        let called = || format!("{} {:?}", node.op_type, node.name);
        if let Some(name) = node.input.iter().find(|name| !name.is_empty() && !known.contains(name.as_str())) {
            return Err(format!(
                "{} reads {name:?}, which nothing makes before it: a missing part, or a cycle",
                called()
            ));
        }
        for attribute in &node.attribute {
            for constant in attribute.t.iter().chain(&attribute.tensors) {
                tensor(constant).map_err(|error| format!("{}: {error}", called()))?;
            }
            for body in attribute.g.iter().chain(&attribute.graphs) {
                inner(body, &known, depth + 1)?;
            }
        }
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            if !known.insert(name.as_str()) {
                return Err(format!("{} makes {name:?}, which is there already", called()));
            }
        }
    }
    match graph.output.iter().find(|output| !known.contains(output.name.as_str())) {
        Some(output) => Err(format!("nothing computes its output {:?}", output.name)),
        None => Ok(()),
    }
}

fn dimensions(input: &tract_onnx::pb::ValueInfoProto) -> Result<(), String> {
    use tract_onnx::pb::tensor_shape_proto::dimension::Value;
    use tract_onnx::pb::type_proto::Value::TensorType;
    let Some(TensorType(declared)) = input.r#type.as_ref().and_then(|of| of.value.as_ref()) else {
        return Err(format!("input {:?} is no tensor", input.name));
    };
    let dims = declared.shape.iter().flat_map(|shape| &shape.dim);
    let fixed: Vec<i64> = dims
        .filter_map(|dim| match dim.value {
            Some(Value::DimValue(n)) => Some(n),
            _ => None,
        })
        .collect();
    numbers(&fixed).map_err(|error| format!("input {:?}: {error}", input.name)).map(drop)
}

/// How many numbers a shape has.
fn numbers(dims: &[i64]) -> Result<u64, String> {
    if dims.len() > MOST_RANK {
        return Err(format!("{} dimensions are more than {MOST_RANK}", dims.len()));
    }
    let mut product = 1u64;
    for dim in dims {
        let dim = u64::try_from(*dim).map_err(|_| format!("dimension {dim} is negative"))?;
        product = product
            .checked_mul(dim)
            .filter(|n| *n <= MOST_NUMBERS)
            .ok_or_else(|| format!("its shape {dims:?} has more than {MOST_NUMBERS} numbers"))?;
    }
    Ok(product)
}

fn tensor(tensor: &TensorProto) -> Result<(), String> {
    let wrong = |error: String| Err(format!("weights {:?}: {error}", tensor.name));
    let elsewhere = tensor.data_location == Some(DataLocation::External as i32);
    if elsewhere || !tensor.external_data.is_empty() {
        return wrong("they are in another file: save the model as one file".into());
    }
    if tensor.segment.is_some() {
        return wrong("a segment of a tensor is not supported".into());
    }
    let count = match numbers(&tensor.dims) {
        Ok(count) => count as usize,
        Err(error) => return wrong(error),
    };
    let Ok(kind) = DataType::try_from(tensor.data_type) else {
        return wrong(format!("type {} is unknown", tensor.data_type));
    };
    let (size, listed) = match kind {
        DataType::Float => (4, tensor.float_data.len()),
        DataType::Double => (8, tensor.double_data.len()),
        DataType::Int64 => (8, tensor.int64_data.len()),
        DataType::Uint64 => (8, tensor.uint64_data.len()),
        DataType::Uint32 => (4, tensor.uint64_data.len()),
        DataType::Int32 => (4, tensor.int32_data.len()),
        DataType::Int16 | DataType::Uint16 | DataType::Float16 | DataType::Bfloat16 => (2, tensor.int32_data.len()),
        DataType::Int8 | DataType::Uint8 | DataType::Bool => (1, tensor.int32_data.len()),
        DataType::String => (0, tensor.string_data.len()),
        other => return wrong(format!("type {other:?} is not supported")),
    };
    let raw = tensor.raw_data.len();
    if size > 0 && raw > 0 {
        return if raw == count * size { Ok(()) } else { wrong(format!("{raw} bytes for {count} numbers of {size}")) };
    }
    if listed == count { Ok(()) } else { wrong(format!("{listed} numbers, expected {count}")) }
}
