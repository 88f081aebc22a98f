//! From CEL text to nodes: limits first, then the `cel` crate's parser, then its tree checked and flattened.

use super::{ExprError, MAX_BYTES, MAX_COMMAS, MAX_DEPTH, MAX_OPERATORS};
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators as op};
use std::sync::Arc;

/// One operation and where its operator (or name) stands, as a character number from 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub at: usize,
    pub kind: Kind,
}

impl Node {
    /// Collects the texts that stand below.
    pub(super) fn texts(&self, into: &mut Vec<Arc<str>>) {
        match &self.kind {
            Kind::Text(text) => into.push(Arc::clone(text)),
            Kind::TextList(list) => into.extend(list.iter().map(Arc::clone)),
            Kind::Number(_) | Kind::Truth(_) | Kind::NumberList(_) | Kind::Column(_) => {}
            Kind::Compare(_, nodes) | Kind::Arithmetic(_, nodes) => nodes.iter().for_each(|node| node.texts(into)),
            Kind::And(nodes) | Kind::Or(nodes) | Kind::In(nodes) => nodes.iter().for_each(|node| node.texts(into)),
            Kind::Choose(nodes) => nodes.iter().for_each(|node| node.texts(into)),
            Kind::Negate(node) | Kind::Not(node) => node.texts(into),
            Kind::Call(_, nodes) => nodes.iter().for_each(|node| node.texts(into)),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Number(f32),
    Truth(bool),
    Text(Arc<str>),
    /// Sorted, without doubles.
    NumberList(Vec<f32>),
    /// Sorted, without doubles.
    TextList(Vec<Arc<str>>),
    /// Position in [`super::Expression::columns`].
    Column(usize),
    Compare(Comparison, Box<[Node; 2]>),
    Arithmetic(Arithmetic, Box<[Node; 2]>),
    Negate(Box<Node>),
    Not(Box<Node>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    In(Box<[Node; 2]>),
    Choose(Box<[Node; 3]>),
    Call(Function, Vec<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    NotEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    StartsWith,
    EndsWith,
    Contains,
    Has,
    Coalesce,
    Min,
    Max,
    Abs,
    Log,
    Log1p,
    Exp,
    Sqrt,
    Pow,
    Floor,
}

impl Function {
    /// Name, function, and least and most arguments, the receiver of a method counted as the first.
    const TABLE: [(&'static str, Self, usize, usize); 15] = [
        ("size", Self::Size, 1, 1),
        ("startsWith", Self::StartsWith, 2, 2),
        ("endsWith", Self::EndsWith, 2, 2),
        ("contains", Self::Contains, 2, 2),
        ("has", Self::Has, 1, 1),
        ("coalesce", Self::Coalesce, 2, 2),
        ("min", Self::Min, 1, 32),
        ("max", Self::Max, 1, 32),
        ("abs", Self::Abs, 1, 1),
        ("log", Self::Log, 1, 1),
        ("log1p", Self::Log1p, 1, 1),
        ("exp", Self::Exp, 1, 1),
        ("sqrt", Self::Sqrt, 1, 1),
        ("pow", Self::Pow, 2, 2),
        ("floor", Self::Floor, 1, 1),
    ];

    fn is_method(self) -> bool {
        matches!(self, Self::Size | Self::StartsWith | Self::EndsWith | Self::Contains)
    }

    pub(super) fn name(self) -> &'static str {
        Self::TABLE.iter().find(|row| row.1 == self).map_or("?", |row| row.0)
    }
}

pub(super) fn parse(text: &str) -> Result<(Node, Vec<String>), ExprError> {
    if text.len() > MAX_BYTES {
        return Err(ExprError::TooLong { bytes: text.len() });
    }
    check_nesting(text)?;
    // A generated parser, fed by strangers: a panic in it must stay an error.
    let parsed = std::panic::catch_unwind(|| {
        // An empty environment has no macros, so that `has(x)` stays a call and takes any column.
        cel::Env::default().with_optional_support(false).parser().parse_with_source_info(text)
    });
    let (tree, places) = match parsed {
        Ok(Ok(parsed)) => parsed,
        Ok(Err(errors)) => return Err(syntax(text, &errors)),
        Err(_) => return Err(ExprError::Syntax { at: 1, detail: "the parser failed on this text".to_owned() }),
    };
    // Counted once: an expression has thousands of nodes, and each says where it stands.
    let characters = text.bytes().scan(0, |count, byte| {
        *count += usize::from(byte & 0xc0 != 0x80);
        Some(*count)
    });
    let mut builder = Builder { characters: characters.collect(), places, columns: Vec::new() };
    let root = builder.node(&tree, 0)?;
    Ok((root, builder.columns))
}

/// Rejects what would make the parser recurse deeply, looking at brackets and operators outside of texts.
fn check_nesting(text: &str) -> Result<(), ExprError> {
    let bytes = text.as_bytes();
    let (mut open, mut operators, mut commas, mut at) = (0usize, 0usize, 0usize, 0usize);
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'"' | b'\'') => {
                at += 1;
                while at < bytes.len() && bytes[at] != quote {
                    at += 1 + usize::from(bytes[at] == b'\\');
                }
            }
            b'(' | b'[' | b'{' => {
                open += 1;
                operators += 1;
            }
            b',' => commas += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            b'+' | b'-' | b'*' | b'/' | b'%' | b'.' | b'<' | b'>' | b'=' | b'?' => operators += 1,
            b'&' | b'|' if bytes.get(at + 1) == Some(&bytes[at]) => {
                operators += 1;
                at += 1;
            }
            b'i' if bytes[at..].starts_with(b"in ") => operators += 1,
            _ => {}
        }
        if open > MAX_DEPTH {
            return Err(ExprError::TooDeep { at: character(text, at) });
        }
        if operators > MAX_OPERATORS || commas > MAX_COMMAS {
            return Err(ExprError::TooMany { at: character(text, at) });
        }
        at += 1;
    }
    Ok(())
}

fn syntax(text: &str, errors: &cel::ParseErrors) -> ExprError {
    let Some(first) = errors.errors.first() else {
        return ExprError::Syntax { at: 1, detail: "not an expression".to_owned() };
    };
    if first.msg.contains("ecursion limit") {
        return ExprError::TooDeep { at: 1 };
    }
    let (line, column) = (usize::try_from(first.pos.0).unwrap_or(0), usize::try_from(first.pos.1).unwrap_or(0));
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(|l| l.chars().count()).sum();
    let detail: String = first.msg.chars().take(300).collect();
    ExprError::Syntax { at: (before + column).max(1), detail }
}

/// The number of the character that holds byte `offset`, from 1.
fn character(text: &str, offset: usize) -> usize {
    text.char_indices().take_while(|(start, _)| *start <= offset).count().max(1)
}

struct Builder {
    /// The number of the character that holds each byte, from 1.
    characters: Vec<usize>,
    places: SourceInfo,
    columns: Vec<String>,
}

impl Builder {
    fn at(&self, tree: &IdedExpr) -> usize {
        let offset = self.places.offset_for(tree.id).map_or(0, |(start, _)| start as usize);
        self.characters.get(offset).or(self.characters.last()).copied().unwrap_or(1)
    }

    fn unsupported(&self, tree: &IdedExpr, what: impl Into<String>) -> ExprError {
        ExprError::Unsupported { at: self.at(tree), what: what.into() }
    }

    fn node(&mut self, tree: &IdedExpr, depth: usize) -> Result<Node, ExprError> {
        let at = self.at(tree);
        if depth >= MAX_DEPTH {
            return Err(ExprError::TooDeep { at });
        }
        let kind = match &tree.expr {
            Expr::Literal(literal) => self.literal(tree, literal)?,
            Expr::List(list) => self.list(tree, &list.elements)?,
            Expr::Call(call) if call.func_name != op::INDEX => self.call(tree, call, depth)?,
            Expr::Ident(_) | Expr::Select(_) | Expr::Call(_) => {
                let name = column_name(tree).ok_or_else(|| self.unsupported(tree, "this access"))?;
                let known = self.columns.iter().position(|c| *c == name);
                Kind::Column(known.unwrap_or_else(|| {
                    self.columns.push(name);
                    self.columns.len() - 1
                }))
            }
            Expr::Map(_) => return Err(self.unsupported(tree, "a map")),
            Expr::Struct(_) => return Err(self.unsupported(tree, "a message")),
            Expr::Comprehension(_) | Expr::Unspecified => return Err(self.unsupported(tree, "this")),
        };
        Ok(Node { at, kind })
    }

    fn literal(&self, tree: &IdedExpr, literal: &LiteralValue) -> Result<Kind, ExprError> {
        match literal {
            LiteralValue::Boolean(v) => Ok(Kind::Truth(*v.inner())),
            LiteralValue::String(v) => Ok(Kind::Text(v.inner().into())),
            LiteralValue::Null => Err(self.unsupported(tree, "null (use has(x))")),
            LiteralValue::Bytes(_) => Err(self.unsupported(tree, "a bytes literal")),
            number => number_of(number).map(Kind::Number).ok_or_else(|| ExprError::Argument {
                at: self.at(tree),
                detail: "the number is out of range: below 3.4e38 expected".to_owned(),
            }),
        }
    }

    fn list(&self, tree: &IdedExpr, elements: &[IdedExpr]) -> Result<Kind, ExprError> {
        let (mut numbers, mut texts) = (Vec::new(), Vec::new());
        for element in elements {
            match &element.expr {
                Expr::Literal(LiteralValue::String(text)) => texts.push(Arc::from(text.inner())),
                Expr::Literal(literal) => match number_of(literal) {
                    Some(number) => numbers.push(number + 0.0),
                    None => return Err(self.unsupported(element, "a list element other than a number or a text")),
                },
                _ => return Err(self.unsupported(element, "a list element that is not a literal")),
            }
        }
        if !numbers.is_empty() && !texts.is_empty() {
            let detail = "a list of numbers and texts: one type expected".to_owned();
            return Err(ExprError::Argument { at: self.at(tree), detail });
        }
        if texts.is_empty() {
            numbers.sort_unstable_by(f32::total_cmp);
            numbers.dedup();
            return Ok(Kind::NumberList(numbers));
        }
        texts.sort_unstable();
        texts.dedup();
        Ok(Kind::TextList(texts))
    }

    fn call(&mut self, tree: &IdedExpr, call: &CallExpr, depth: usize) -> Result<Kind, ExprError> {
        let at = self.at(tree);
        if let Some(&(name, function, least, most)) = Function::TABLE.iter().find(|row| row.0 == call.func_name) {
            if call.target.is_some() && !function.is_method() {
                return Err(self.unsupported(tree, format!("{name} as a method")));
            }
            let mut arguments = Vec::with_capacity(call.args.len() + 1);
            for argument in call.target.as_deref().into_iter().chain(&call.args) {
                arguments.push(self.node(argument, depth + 1)?);
            }
            if (least..=most).contains(&arguments.len()) {
                return Ok(Kind::Call(function, arguments));
            }
            let expected = if least == most { least.to_string() } else { format!("{least} to {most}") };
            let detail = format!("{name} takes {expected} arguments, got {}", arguments.len());
            return Err(ExprError::Argument { at, detail });
        }
        let arguments = &call.args;
        let kind = match (call.func_name.as_str(), arguments.as_slice()) {
            (op::LESS, [a, b]) => Kind::Compare(Comparison::Less, self.two(a, b, depth)?),
            (op::LESS_EQUALS, [a, b]) => Kind::Compare(Comparison::LessEqual, self.two(a, b, depth)?),
            (op::GREATER, [a, b]) => Kind::Compare(Comparison::Greater, self.two(a, b, depth)?),
            (op::GREATER_EQUALS, [a, b]) => Kind::Compare(Comparison::GreaterEqual, self.two(a, b, depth)?),
            (op::EQUALS, [a, b]) => Kind::Compare(Comparison::Equal, self.two(a, b, depth)?),
            (op::NOT_EQUALS, [a, b]) => Kind::Compare(Comparison::NotEqual, self.two(a, b, depth)?),
            (op::ADD, [a, b]) => Kind::Arithmetic(Arithmetic::Add, self.two(a, b, depth)?),
            (op::SUBSTRACT, [a, b]) => Kind::Arithmetic(Arithmetic::Subtract, self.two(a, b, depth)?),
            (op::MULTIPLY, [a, b]) => Kind::Arithmetic(Arithmetic::Multiply, self.two(a, b, depth)?),
            (op::DIVIDE, [a, b]) => Kind::Arithmetic(Arithmetic::Divide, self.two(a, b, depth)?),
            (op::MODULO, [a, b]) => Kind::Arithmetic(Arithmetic::Remainder, self.two(a, b, depth)?),
            (op::LOGICAL_AND, [a, b]) => Kind::And(self.two(a, b, depth)?),
            (op::LOGICAL_OR, [a, b]) => Kind::Or(self.two(a, b, depth)?),
            (op::IN, [a, b]) => Kind::In(self.two(a, b, depth)?),
            (op::NEGATE, [a]) => Kind::Negate(Box::new(self.node(a, depth + 1)?)),
            (op::LOGICAL_NOT, [a]) => Kind::Not(Box::new(self.node(a, depth + 1)?)),
            (op::CONDITIONAL, [c, a, b]) => {
                let [a, b] = *self.two(a, b, depth)?;
                Kind::Choose(Box::new([self.node(c, depth + 1)?, a, b]))
            }
            (name, _) => return Err(self.unsupported(tree, format!("{name}()"))),
        };
        Ok(kind)
    }

    fn two(&mut self, a: &IdedExpr, b: &IdedExpr, depth: usize) -> Result<Box<[Node; 2]>, ExprError> {
        Ok(Box::new([self.node(a, depth + 1)?, self.node(b, depth + 1)?]))
    }
}

fn number_of(literal: &LiteralValue) -> Option<f32> {
    let number = match literal {
        LiteralValue::Int(v) => *v.inner() as f32,
        LiteralValue::UInt(v) => *v.inner() as f32,
        LiteralValue::Double(v) => *v.inner() as f32,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// The dotted name that identifiers, `.field` and `["field"]` spell; `None` for anything else.
fn column_name(tree: &IdedExpr) -> Option<String> {
    let (before, field) = match &tree.expr {
        Expr::Ident(name) => return (!name.starts_with('.')).then(|| name.clone()),
        Expr::Select(select) if !select.test => (&*select.operand, select.field.as_str()),
        Expr::Call(CallExpr { func_name, target: None, args }) if func_name == op::INDEX => match args.as_slice() {
            [before, IdedExpr { expr: Expr::Literal(LiteralValue::String(field)), .. }] => (before, field.inner()),
            _ => return None,
        },
        _ => return None,
    };
    Some(format!("{}.{field}", column_name(before)?))
}
