//! Operators that the engine lacks, written with those it has, before it sees the file; and half precision made single.
//! What traditional machine learning exports around its models is little: scaling, filling gaps, codes, and labels beside
//! the scores, which nothing here serves.

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};

/// Codes a table of integers may have: it becomes a comparison with each.
const MOST_CODES: usize = 4_096;

/// Rewrites the graph in place.
///
/// # Errors
/// An operator whose attributes cannot be expressed, and which.
pub(crate) fn graph(graph: &mut GraphProto) -> Result<(), String> {
    single_precision(graph)?;
    let mut writer = Writer { nodes: Vec::with_capacity(graph.node.len()), constants: Vec::new(), count: 0 };
    let mut dropped = Vec::new();
    for node in std::mem::take(&mut graph.node) {
        // What is made of a label goes with it.
        if node.input.iter().any(|input| !input.is_empty() && dropped.contains(input)) {
            dropped.extend(node.output.into_iter().filter(|output| !output.is_empty()));
            continue;
        }
        let called = format!("{} {:?}", node.op_type, node.name);
        if let Some(places) = picked(&node, &graph.initializer) {
            writer.pick(&node, places)?;
            continue;
        }
        writer.node(node, &mut dropped).map_err(|error| format!("{called}: {error}"))?;
    }
    graph.node = writer.nodes;
    graph.initializer.extend(writer.constants);
    graph.output.retain(|output| !dropped.contains(&output.name));
    Ok(())
}

/// Half precision is for keeping weights small; sums need more, and the engine multiplies no halves.
fn single_precision(graph: &mut GraphProto) -> Result<(), String> {
    use tract_onnx::pb::type_proto::Value::TensorType;
    const HALF: i32 = DataType::Float16 as i32;
    const SINGLE: i32 = DataType::Float as i32;
    for declared in graph.input.iter_mut().chain(&mut graph.output) {
        if let Some(TensorType(tensor)) = declared.r#type.as_mut().and_then(|of| of.value.as_mut())
            && tensor.elem_type == HALF
        {
            tensor.elem_type = SINGLE;
        }
    }
    graph.initializer.iter_mut().for_each(single);
    for attribute in graph.node.iter_mut().flat_map(|node| {
        let cast = node.op_type == "Cast";
        node.attribute.iter_mut().map(move |attribute| (cast, attribute))
    }) {
        let (cast, attribute) = attribute;
        if cast && attribute.name == "to" && attribute.i == i64::from(HALF) {
            attribute.i = i64::from(SINGLE);
        }
        attribute.t.iter_mut().chain(&mut attribute.tensors).for_each(single);
        for body in attribute.g.iter_mut().chain(&mut attribute.graphs) {
            single_precision(body)?;
        }
    }
    Ok(())
}

fn single(tensor: &mut TensorProto) {
    if tensor.data_type != DataType::Float16 as i32 {
        return;
    }
    let raw = tensor.raw_data.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let listed = tensor.int32_data.iter().map(|bits| *bits as u16);
    tensor.float_data = raw.chain(listed).map(|bits| half::f16::from_bits(bits).to_f32()).collect();
    tensor.raw_data.clear();
    tensor.int32_data.clear();
    tensor.data_type = DataType::Float as i32;
}

/// The nodes of the new graph.
struct Writer {
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    count: usize,
}

impl Writer {
    fn node(&mut self, mut node: NodeProto, dropped: &mut Vec<String>) -> Result<(), String> {
        match node.op_type.as_str() {
            "Scaler" => self.scaler(&node),
            "Imputer" => self.imputer(&node),
            "FeatureVectorizer" => {
                let (inputs, output) = (node.input.clone(), output(&node)?);
                let parts = inputs.into_iter().map(|input| self.cast(&input, DataType::Float)).collect();
                self.push("Concat", parts, &output, vec![int("axis", 1)]);
                Ok(())
            }
            // From a row of probabilities to a map with labels; the row is what is served.
            "ZipMap" => {
                let input = input(&node)?;
                self.push("Identity", vec![input], &output(&node)?, vec![]);
                Ok(())
            }
            // A slope for what is negative, which networks learn elsewhere: one operator for both.
            "LeakyRelu" => {
                let slope = self.floats(&[attribute(&node, "alpha").map_or(0.01, |a| a.f)], &[1]);
                self.push("PRelu", vec![input(&node)?, slope], &output(&node)?, vec![]);
                Ok(())
            }
            "OneHotEncoder" if node.domain == "ai.onnx.ml" => self.one_hot(&node),
            "LabelEncoder" => self.codes(&node),
            "TreeEnsembleClassifier" if node.output.len() == 2 => {
                dropped.push(node.output.remove(0));
                self.nodes.push(node);
                Ok(())
            }
            _ => {
                self.nodes.push(node);
                Ok(())
            }
        }
    }

    fn name(&mut self) -> String {
        self.count += 1;
        format!("qianmian.{}", self.count)
    }

    fn push(&mut self, kind: &str, input: Vec<String>, output: &str, attribute: Vec<AttributeProto>) {
        self.nodes.push(NodeProto {
            op_type: kind.into(),
            name: output.into(),
            input,
            output: vec![output.into()],
            attribute,
            ..NodeProto::default()
        });
    }

    /// A node whose output has a name of its own.
    fn inner(&mut self, kind: &str, input: Vec<String>, attribute: Vec<AttributeProto>) -> String {
        let name = self.name();
        self.push(kind, input, &name, attribute);
        name
    }

    fn cast(&mut self, value: &str, to: DataType) -> String {
        self.inner("Cast", vec![value.into()], vec![int("to", to as i64)])
    }

    fn floats(&mut self, values: &[f32], dims: &[i64]) -> String {
        let name = self.name();
        self.constants.push(TensorProto {
            name: name.clone(),
            dims: dims.to_vec(),
            data_type: DataType::Float as i32,
            float_data: values.to_vec(),
            ..TensorProto::default()
        });
        name
    }

    fn integers(&mut self, values: &[i64], dims: &[i64]) -> String {
        let name = self.name();
        self.constants.push(TensorProto {
            name: name.clone(),
            dims: dims.to_vec(),
            data_type: DataType::Int64 as i32,
            int64_data: values.to_vec(),
            ..TensorProto::default()
        });
        name
    }

    /// Parts along the first axis.
    fn pick(&mut self, node: &NodeProto, mut places: TensorProto) -> Result<(), String> {
        let indices = self.name();
        places.name.clone_from(&indices);
        places.dims.pop();
        self.constants.push(places);
        self.push("Gather", vec![input(node)?, indices], &output(node)?, vec![int("axis", 0)]);
        Ok(())
    }

    /// (x - offset) * scale, column by column.
    fn scaler(&mut self, node: &NodeProto) -> Result<(), String> {
        let (offset, scale) = (listed(node, "offset"), listed(node, "scale"));
        let x = self.cast(&input(node)?, DataType::Float);
        let offset = self.floats(offset, &[1, offset.len() as i64]);
        let scale = self.floats(scale, &[1, scale.len() as i64]);
        let centred = self.inner("Sub", vec![x, offset], vec![]);
        self.push("Mul", vec![centred, scale], &output(node)?, vec![]);
        Ok(())
    }

    /// What stands for a gap (NaN, or a value) becomes the column's own value.
    fn imputer(&mut self, node: &NodeProto) -> Result<(), String> {
        let filled = listed(node, "imputed_value_floats");
        if filled.is_empty() {
            return Err("imputed_value_floats is missing: only floats are imputed".into());
        }
        let gap = attribute(node, "replaced_value_float").map_or(0.0, |a| a.f);
        let x = input(node)?;
        let filled = self.floats(filled, &[1, filled.len() as i64]);
        let missing = if gap.is_nan() {
            // The one number that differs from itself.
            let same = self.inner("Equal", vec![x.clone(), x.clone()], vec![]);
            self.inner("Not", vec![same], vec![])
        } else {
            let gap = self.floats(&[gap], &[1, 1]);
            self.inner("Equal", vec![x.clone(), gap], vec![])
        };
        self.push("Where", vec![missing, filled, x], &output(node)?, vec![]);
        Ok(())
    }

    /// For each code 1 where the integer is it; 0 everywhere for one that is not listed.
    fn one_hot(&mut self, node: &NodeProto) -> Result<(), String> {
        let codes = attribute(node, "cats_int64s").map_or(&[][..], |a| a.ints.as_slice());
        if codes.is_empty() {
            return Err("cats_int64s is missing: only integers can be served".into());
        }
        if attribute(node, "zeros").is_some_and(|a| a.i == 0) {
            return Err(
                "zeros is 0: an integer that is not listed would be an error of the request; export it with 1".into()
            );
        }
        let hits = self.compared(&input(node)?, codes)?;
        self.push("Cast", vec![hits], &output(node)?, vec![int("to", DataType::Float as i64)]);
        Ok(())
    }

    /// Whether each integer is each of the codes, along a new last axis.
    fn compared(&mut self, x: &str, codes: &[i64]) -> Result<String, String> {
        if codes.len() > MOST_CODES {
            return Err(format!("{} codes are more than {MOST_CODES}: use an embedding table", codes.len()));
        }
        let x = self.cast(x, DataType::Int64);
        let last = self.integers(&[-1], &[1]);
        let x = self.inner("Unsqueeze", vec![x, last], vec![]);
        let codes = self.integers(codes, &[codes.len() as i64]);
        Ok(self.inner("Equal", vec![x, codes], vec![]))
    }

    /// Integers to integers or floats by a table; what is not in it becomes the default.
    fn codes(&mut self, node: &NodeProto) -> Result<(), String> {
        let keys = attribute(node, "keys_int64s").map_or(&[][..], |a| a.ints.as_slice());
        let (floats, integers) = (listed(node, "values_floats"), attribute(node, "values_int64s"));
        let default = match integers {
            Some(_) => attribute(node, "default_int64").map_or(-1.0, |a| a.i as f32),
            None => attribute(node, "default_float").map_or(-0.0, |a| a.f),
        };
        let values: Vec<f32> = match integers {
            Some(values) => values.ints.iter().map(|v| *v as f32).collect(),
            None => floats.to_vec(),
        };
        if keys.is_empty() || keys.len() != values.len() {
            return Err("only tables from integers to as many integers or floats can be served".into());
        }
        if values.iter().any(|value| integers.is_some() && value.abs() >= 16_777_216.0) {
            return Err("values of 16,777,216 and more are not exact in single precision".into());
        }
        let hits = self.compared(&input(node)?, keys)?;
        let hits = self.cast(&hits, DataType::Float);
        // One row of the table for each hit, less the default, which everything has.
        let table: Vec<f32> = values.iter().map(|value| value - default).collect();
        let table = self.floats(&table, &[keys.len() as i64, 1]);
        let default = self.floats(&[default], &[1]);
        let found = self.inner("MatMul", vec![hits, table], vec![]);
        let last = self.integers(&[-1], &[1]);
        let found = self.inner("Squeeze", vec![found, last], vec![]);
        let found = self.inner("Add", vec![found, default], vec![]);
        let to = if integers.is_some() { DataType::Int64 } else { DataType::Float };
        self.push("Cast", vec![found], &output(node)?, vec![int("to", to as i64)]);
        Ok(())
    }
}

/// The constant places of a GatherND that has one for each part it takes: a Gather along the first axis.
fn picked(node: &NodeProto, constants: &[TensorProto]) -> Option<TensorProto> {
    let whole = node.op_type == "GatherND" && attribute(node, "batch_dims").is_none_or(|a| a.i == 0);
    let places = constants.iter().find(|constant| whole && node.input.get(1) == Some(&constant.name))?;
    (places.dims.len() > 1 && places.dims.last() == Some(&1)).then(|| places.clone())
}

fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

fn listed<'a>(node: &'a NodeProto, name: &str) -> &'a [f32] {
    attribute(node, name).map_or(&[], |attribute| attribute.floats.as_slice())
}

fn input(node: &NodeProto) -> Result<String, String> {
    node.input.first().cloned().ok_or_else(|| "it has no input".into())
}

fn output(node: &NodeProto) -> Result<String, String> {
    node.output.first().cloned().ok_or_else(|| "it has no output".into())
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        i,
        r#type: tract_onnx::pb::attribute_proto::AttributeType::Int as i32,
        ..AttributeProto::default()
    }
}
