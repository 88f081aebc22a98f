//! Evaluating nodes over whole columns.

use super::parse::{Arithmetic, Comparison, Function, Kind, Node};
use super::value::{List, Number, Text, Truth, Value};
use crate::ColumnValues;
use std::borrow::Cow;

/// Types that do not fit, and where.
#[derive(Debug)]
pub(super) struct TypeError {
    pub at: usize,
    pub detail: String,
}

pub(super) fn mask(root: &Node, columns: &[ColumnValues], len: usize) -> Result<Vec<bool>, TypeError> {
    let scope = Scope { columns, len };
    match scope.truth(root, "a filter")? {
        Truth::One(v) => Ok(vec![v; len]),
        Truth::Many(v) => Ok(v),
    }
}

pub(super) fn numbers(root: &Node, columns: &[ColumnValues], len: usize) -> Result<Vec<f32>, TypeError> {
    let scope = Scope { columns, len };
    match scope.number(root, "a formula")? {
        Number::One(v) => Ok(vec![v; len]),
        Number::Many(v) => Ok(v.into_owned()),
    }
}

struct Scope<'a> {
    columns: &'a [ColumnValues],
    len: usize,
}

fn wrong<T>(at: usize, detail: String) -> Result<T, TypeError> {
    Err(TypeError { at, detail })
}

impl<'a> Scope<'a> {
    fn value(&self, node: &'a Node) -> Result<Value<'a>, TypeError> {
        Ok(match &node.kind {
            Kind::Number(v) => Value::Number(Number::One(*v)),
            Kind::Truth(v) => Value::Truth(Truth::One(*v)),
            Kind::Text(v) => Value::Text(Text::One(v)),
            Kind::NumberList(v) => Value::List(List::Numbers(v)),
            Kind::TextList(v) => Value::List(List::Texts(v)),
            Kind::Column(at) => match &self.columns[*at] {
                ColumnValues::Numbers(v) => Value::Number(Number::Many(Cow::Borrowed(v))),
                ColumnValues::Texts(v) => Value::Text(Text::Column(v)),
                ColumnValues::Lists(v) => Value::List(List::Column(v)),
            },
            Kind::Compare(how, sides) => Value::Truth(self.compare(node.at, *how, sides)?),
            Kind::Arithmetic(how, sides) => Value::Number(self.arithmetic(*how, sides)?),
            Kind::Negate(inner) => Value::Number(self.number(inner, "-")?.map(|v| -v)),
            Kind::Not(inner) => Value::Truth(self.truth(inner, "!")?.not()),
            Kind::And(sides) => match (self.truth(&sides[0], "&&")?, self.truth(&sides[1], "&&")?) {
                (Truth::One(false), _) | (_, Truth::One(false)) => Value::Truth(Truth::One(false)),
                (a, b) => Value::Truth(a.zip(b, |a, b| a && b)),
            },
            Kind::Or(sides) => match (self.truth(&sides[0], "||")?, self.truth(&sides[1], "||")?) {
                (Truth::One(true), _) | (_, Truth::One(true)) => Value::Truth(Truth::One(true)),
                (a, b) => Value::Truth(a.zip(b, |a, b| a || b)),
            },
            Kind::In(sides) => Value::Truth(self.contained(node.at, sides)?),
            Kind::Choose(parts) => self.choose(node.at, parts)?,
            Kind::Call(function, arguments) => self.call(node.at, *function, arguments)?,
        })
    }

    fn number(&self, node: &'a Node, user: &str) -> Result<Number<'a>, TypeError> {
        match self.value(node)? {
            Value::Number(v) => Ok(v),
            Value::Truth(_) => wrong(node.at, format!("{user} needs a number, got a condition (write c ? 1.0 : 0.0)")),
            other => wrong(node.at, format!("{user} needs a number, got {}", other.what())),
        }
    }

    fn truth(&self, node: &'a Node, user: &str) -> Result<Truth, TypeError> {
        match self.value(node)? {
            Value::Truth(v) => Ok(v),
            other => wrong(node.at, format!("{user} needs a condition, got {}", other.what())),
        }
    }

    fn text(&self, node: &'a Node, user: &str) -> Result<Text<'a>, TypeError> {
        match self.value(node)? {
            Value::Text(v) => Ok(v),
            Value::Number(v) if v.is_missing() => Ok(Text::One("")),
            other => wrong(node.at, format!("{user} needs a text, got {}", other.what())),
        }
    }

    fn compare(&self, at: usize, how: Comparison, sides: &'a [Node; 2]) -> Result<Truth, TypeError> {
        match (self.value(&sides[0])?, self.value(&sides[1])?) {
            (Value::Number(a), Value::Number(b)) => Ok(match how {
                Comparison::Less => a.test(&b, |a, b| a < b),
                Comparison::LessEqual => a.test(&b, |a, b| a <= b),
                Comparison::Greater => a.test(&b, |a, b| a > b),
                Comparison::GreaterEqual => a.test(&b, |a, b| a >= b),
                Comparison::Equal => a.test(&b, |a, b| a == b),
                // Not `!=`, which is true for NaN: a comparison with what is missing is false.
                Comparison::NotEqual => a.test(&b, |a, b| a.partial_cmp(&b).is_some_and(std::cmp::Ordering::is_ne)),
            }),
            (Value::Text(a), Value::Text(b)) => {
                let test = |f: fn(&str, &str) -> bool| {
                    a.test_pair(&b, self.len, |a, b| !a.is_empty() && !b.is_empty() && f(a, b))
                };
                Ok(match how {
                    Comparison::Less => test(|a, b| a < b),
                    Comparison::LessEqual => test(|a, b| a <= b),
                    Comparison::Greater => test(|a, b| a > b),
                    Comparison::GreaterEqual => test(|a, b| a >= b),
                    Comparison::Equal => test(|a, b| a == b),
                    Comparison::NotEqual => test(|a, b| a != b),
                })
            }
            (Value::Truth(a), Value::Truth(b)) => match how {
                Comparison::Equal => Ok(a.zip(b, |a, b| a == b)),
                Comparison::NotEqual => Ok(a.zip(b, |a, b| a != b)),
                _ => wrong(at, "conditions can be compared with == and != only".to_owned()),
            },
            (Value::List(_), Value::List(_)) => {
                wrong(at, "lists cannot be compared; use `x in list` or size(list)".to_owned())
            }
            (Value::Number(v), Value::Text(_)) | (Value::Text(_), Value::Number(v)) if v.is_missing() => {
                Ok(Truth::One(false))
            }
            (a, b) => wrong(at, format!("compares {} with {}: the same type expected", a.what(), b.what())),
        }
    }

    fn arithmetic(&self, how: Arithmetic, sides: &'a [Node; 2]) -> Result<Number<'a>, TypeError> {
        let user = match how {
            Arithmetic::Add => "+",
            Arithmetic::Subtract => "-",
            Arithmetic::Multiply => "*",
            Arithmetic::Divide => "/",
            Arithmetic::Remainder => "%",
        };
        let (a, b) = (self.number(&sides[0], user)?, self.number(&sides[1], user)?);
        Ok(match how {
            Arithmetic::Add => a.zip(b, |a, b| a + b),
            Arithmetic::Subtract => a.zip(b, |a, b| a - b),
            Arithmetic::Multiply => a.zip(b, |a, b| a * b),
            Arithmetic::Divide => a.zip(b, |a, b| a / b),
            Arithmetic::Remainder => a.zip(b, |a, b| a % b),
        })
    }

    fn contained(&self, at: usize, sides: &'a [Node; 2]) -> Result<Truth, TypeError> {
        let list = match self.value(&sides[1])? {
            Value::List(list) => list,
            other => return wrong(sides[1].at, format!("`in` needs a list on its right, got {}", other.what())),
        };
        match (self.value(&sides[0])?, list) {
            (Value::Number(_) | Value::Text(_), List::Numbers([])) => Ok(Truth::One(false)),
            (Value::Number(number), List::Numbers(list)) => {
                let test = |v: f32, _: f32| list.binary_search_by(|l| l.total_cmp(&(v + 0.0))).is_ok();
                Ok(number.test(&Number::One(0.0), test))
            }
            (Value::Text(text), List::Texts(list)) => {
                let test = |t: &str| !t.is_empty() && list.binary_search_by(|l| (**l).cmp(t)).is_ok();
                Ok(text.test(self.len, test))
            }
            (Value::Text(text), List::Column(lists)) => {
                let test = |row: usize| {
                    let wanted = text.at(row);
                    !wanted.is_empty() && lists[row].iter().any(|t| **t == *wanted)
                };
                Ok(Truth::Many((0..self.len).map(test).collect()))
            }
            (Value::Number(v), _) if v.is_missing() => Ok(Truth::One(false)),
            (value, List::Numbers(_)) => wrong(at, format!("looks for {} in a list of numbers", value.what())),
            (value, _) => wrong(at, format!("looks for {} in a list of texts", value.what())),
        }
    }

    fn choose(&self, at: usize, parts: &'a [Node; 3]) -> Result<Value<'a>, TypeError> {
        let condition = self.truth(&parts[0], "? :")?;
        let (yes, no) = (self.value(&parts[1])?, self.value(&parts[2])?);
        if std::mem::discriminant(&yes) != std::mem::discriminant(&no) || matches!(yes, Value::List(_)) {
            let detail = format!(
                "? : chooses between {} and {}: two numbers, texts or conditions expected",
                yes.what(),
                no.what()
            );
            return wrong(at, detail);
        }
        if let Truth::One(condition) = condition {
            return Ok(if condition { yes } else { no });
        }
        Ok(match (yes, no) {
            (Value::Number(yes), Value::Number(no)) => {
                let pick = |row| if condition.at(row) { yes.at(row) } else { no.at(row) };
                Value::Number(Number::build(self.len, pick))
            }
            (Value::Text(yes), Value::Text(no)) => {
                let pick = |row| if condition.at(row) { yes.at(row) } else { no.at(row) };
                Value::Text(Text::Many((0..self.len).map(pick).collect()))
            }
            (Value::Truth(yes), Value::Truth(no)) => {
                let pick = |row| if condition.at(row) { yes.at(row) } else { no.at(row) };
                Value::Truth(Truth::Many((0..self.len).map(pick).collect()))
            }
            (yes, _) => return wrong(at, format!("? : cannot choose {}", yes.what())),
        })
    }

    fn call(&self, at: usize, function: Function, arguments: &'a [Node]) -> Result<Value<'a>, TypeError> {
        let name = function.name();
        let number = |f: fn(f32) -> f32| Ok(Value::Number(self.number(&arguments[0], name)?.map(f)));
        match function {
            Function::Abs => number(f32::abs),
            Function::Log => number(f32::ln),
            Function::Log1p => number(f32::ln_1p),
            Function::Exp => number(f32::exp),
            Function::Sqrt => number(f32::sqrt),
            Function::Floor => number(f32::floor),
            Function::Pow => {
                let (a, b) = (self.number(&arguments[0], name)?, self.number(&arguments[1], name)?);
                // Rust's powf(NaN, 0) is 1; what is missing stays missing.
                Ok(Value::Number(a.zip(b, |a, b| if a.is_nan() || b.is_nan() { f32::NAN } else { a.powf(b) })))
            }
            Function::Min | Function::Max => {
                let lower = function == Function::Min;
                let mut best = self.number(&arguments[0], name)?;
                for argument in &arguments[1..] {
                    let next = self.number(argument, name)?;
                    best = best.zip(next, |a, b| {
                        if a.is_nan() || b.is_nan() {
                            f32::NAN
                        } else if (a < b) == lower {
                            a
                        } else {
                            b
                        }
                    });
                }
                Ok(Value::Number(best))
            }
            Function::Has => Ok(Value::Truth(match self.value(&arguments[0])? {
                Value::Number(v) => v.test(&Number::One(0.0), |v, _| !v.is_nan()),
                Value::Text(v) => v.test(self.len, |t| !t.is_empty()),
                Value::List(List::Column(v)) => Truth::Many(v.iter().map(|l| !l.is_empty()).collect()),
                other => return wrong(at, format!("has() needs a column, got {}", other.what())),
            })),
            Function::Coalesce => match (self.value(&arguments[0])?, self.value(&arguments[1])?) {
                (Value::Number(a), Value::Number(b)) => {
                    Ok(Value::Number(a.zip(b, |a, b| if a.is_nan() { b } else { a })))
                }
                (Value::Text(a), Value::Text(b)) => {
                    let pick = |row| if a.at(row).is_empty() { b.at(row) } else { a.at(row) };
                    Ok(Value::Text(if a.is_one() && b.is_one() {
                        Text::One(pick(0))
                    } else {
                        Text::Many((0..self.len).map(pick).collect())
                    }))
                }
                (Value::Number(a), b @ Value::Text(_)) if a.is_missing() => Ok(b),
                (a, b) => {
                    let detail =
                        format!("coalesce of {} and {}: two numbers or two texts expected", a.what(), b.what());
                    wrong(at, detail)
                }
            },
            Function::Size => Ok(Value::Number(match self.value(&arguments[0])? {
                Value::Text(Text::One(t)) => Number::One(t.chars().count() as f32),
                Value::Text(t) => Number::build(self.len, |row| t.at(row).chars().count() as f32),
                Value::List(List::Numbers(v)) => Number::One(v.len() as f32),
                Value::List(List::Texts(v)) => Number::One(v.len() as f32),
                Value::List(List::Column(v)) => Number::build(self.len, |row| v[row].len() as f32),
                other => return wrong(at, format!("size() needs a text or a list, got {}", other.what())),
            })),
            Function::StartsWith | Function::EndsWith | Function::Contains => {
                let (a, b) = (self.text(&arguments[0], name)?, self.text(&arguments[1], name)?);
                Ok(Value::Truth(match function {
                    Function::StartsWith => a.test_pair(&b, self.len, |a, b| !a.is_empty() && a.starts_with(b)),
                    Function::EndsWith => a.test_pair(&b, self.len, |a, b| !a.is_empty() && a.ends_with(b)),
                    _ => a.test_pair(&b, self.len, |a, b| !a.is_empty() && a.contains(b)),
                }))
            }
        }
    }
}
