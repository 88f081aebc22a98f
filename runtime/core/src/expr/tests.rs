//! Tests of the dialect, of its errors and limits, and of bulk against row-by-row evaluation.

use super::{ExprError, Expression, MAX_BYTES};
use crate::{ColumnValues, ReachError};
use proptest::prelude::*;
use std::sync::Arc;

fn texts(values: &[&str]) -> ColumnValues {
    ColumnValues::Texts(values.iter().map(|v| Arc::from(*v)).collect())
}

/// Three rows.
fn read(name: &str) -> Result<ColumnValues, ReachError> {
    let list = |v: &[&str]| -> Arc<[Arc<str>]> { v.iter().map(|t| Arc::from(*t)).collect() };
    Ok(match name {
        "score" => ColumnValues::Numbers(vec![1.0, 0.5, f32::NAN]),
        "item.price" => ColumnValues::Numbers(vec![2.1, f32::NAN, 10.0]),
        "item.brand" => texts(&["ACME", "", "Öko"]),
        "item.attributes.pack size" => ColumnValues::Numbers(vec![6.0, 12.0, f32::NAN]),
        "item.tags" => ColumnValues::Lists(vec![list(&["sale", "new"]), list(&[]), list(&["new"])]),
        "absent" => ColumnValues::Numbers(vec![f32::NAN; 3]),
        "short" => ColumnValues::Numbers(vec![1.0]),
        other => return Err(ReachError::Unknown { what: "column", name: other.into(), known: "score".into() }),
    })
}

fn mask(text: &str) -> Vec<bool> {
    Expression::parse(text).unwrap().mask(3, &read).unwrap()
}

fn numbers(text: &str) -> Vec<f32> {
    Expression::parse(text).unwrap().numbers(3, &read).unwrap()
}

#[test]
fn conditions() {
    assert_eq!(mask("item.price <= 2.1"), [true, false, false]);
    assert_eq!(mask("item.price != 2.1"), [false, false, true], "missing compares false");
    assert_eq!(mask("!(item.price > 5) && true"), [true, true, false]);
    assert_eq!(mask("has(item.price) && has(score)"), [true, false, false]);
    assert_eq!(mask("has(item.tags) || has(item.brand)"), [true, false, true]);
    assert_eq!(mask("item.brand == 'ACME'"), [true, false, false]);
    assert_eq!(mask("item.brand != \"ACME\""), [false, false, true]);
    assert_eq!(mask("item.brand in ['Öko', 'ACME', 'x']"), [true, false, true]);
    assert_eq!(mask("item.price in [10, -3, 2.1]"), [true, false, true]);
    assert_eq!(mask("'sale' in item.tags"), [true, false, false]);
    assert_eq!(mask("item.brand in item.tags || item.price in []"), [false; 3]);
    assert_eq!(mask("size(item.tags) == 1 || item.brand.size() == 4"), [true, false, true]);
    assert_eq!(
        mask("item.brand.startsWith('A') || item.brand.endsWith('ko') || item.brand.contains('?')"),
        [true, false, true]
    );
    assert_eq!(mask("(item.price > 5) == (score > 0.7)"), [false, true, false]);
    assert_eq!(mask("1 < 2 || score > 9"), [true; 3]);
    assert_eq!(mask("'b' > 'a'"), [true; 3]);
    assert_eq!(mask("absent == 'x' || absent in ['x'] || absent.startsWith('x') || absent > 1"), [false; 3]);
    assert_eq!(mask("coalesce(absent, 'x') == 'x'"), [true; 3]);
}

#[test]
fn formulas() {
    let same = |text: &str, expected: [f32; 3]| {
        let got = numbers(text);
        for (g, e) in got.iter().zip(expected) {
            assert!((g.is_nan() && e.is_nan()) || (g - e).abs() < 1e-6, "{text}: {got:?} for {expected:?}");
        }
    };
    let nan = f32::NAN;
    same("score * 2 + 1", [3.0, 2.0, nan]);
    same("1 / 2 - -score", [1.5, 1.0, nan]);
    same("coalesce(score, 0) + coalesce(item.price, 1.0)", [3.1, 1.5, 10.0]);
    same("item.price > 5 ? 1.0 : 0.0", [0.0, 0.0, 1.0]);
    same("max(score, 0.75, 0.1) + min(1, 2)", [2.0, 1.75, nan]);
    same("log(exp(score)) + log1p(0.0) + sqrt(4.0) + pow(2, 3) + floor(1.9) + abs(-1)", [13.0, 12.5, nan]);
    same("1 / 0", [nan; 3]);
    same("score / (score - 1)", [nan, -1.0, nan]);
    same("log(0 - score)", [nan; 3]);
    same("7 % 4 + 0 * item.attributes[\"pack size\"]", [3.0, 3.0, nan]);
    same("size(item.price > 5 ? 'ab' : coalesce(item.brand, 'none'))", [4.0, 4.0, 2.0]);
    assert_eq!(
        Expression::parse("a.b + c * a.b + source['x-y'].rank").unwrap().columns(),
        ["a.b", "c", "source.x-y.rank"]
    );
    assert_eq!(
        Expression::parse("score").unwrap().numbers(0, &|_| Ok(ColumnValues::Numbers(vec![]))).unwrap(),
        Vec::<f32>::new()
    );
}

#[test]
fn errors_name_the_place() {
    let parse = |text: &str| Expression::parse(text).unwrap_err().to_string();
    assert!(parse("score >").starts_with("character 8: Syntax error"), "{}", parse("score >"));
    assert!(
        parse("'é' == matches(item.brand)").starts_with("character 15: matches() is not supported here; supported: "),
        "{}",
        parse("'é' == matches(item.brand)")
    );
    assert!(parse("").starts_with("character 1: "));
    assert!(parse("pow(1)").contains("pow takes 2 arguments, got 1"));
    assert!(parse("score in [1, 'a']").contains("a list of numbers and texts"));
    assert!(parse("x == null").contains("null (use has(x))"));
    assert!(parse("[1].exists(x, x > 1)").contains("exists() is not supported"));
    assert!(parse("{'a': 1}").contains("a map"));
    assert!(parse("1e300").contains("out of range"));
    let run = |text: &str| Expression::parse(text).unwrap().mask(3, &read).unwrap_err().to_string();
    assert_eq!(
        run("score > 'a'"),
        "character 7: compares a number with a text: the same type expected, in: score > 'a'"
    );
    assert!(run("score").contains("character 1: a filter needs a condition, got a number"));
    assert!(run("score && true").contains("&& needs a condition, got a number"));
    assert!(run("'a' in item.brand").contains("`in` needs a list on its right, got a text"));
    assert!(run("1 in item.tags").contains("looks for a number in a list of texts"));
    assert!(run("nothing > 1").contains("no column named \"nothing\""));
    assert!(run("short > 1").contains("column short failed: 1 values for 3 rows"));
    assert!(run("item.tags == item.tags").contains("lists cannot be compared"));
    let formula = Expression::parse("1 + (score > 1)").unwrap().numbers(3, &read).unwrap_err().to_string();
    assert!(formula.contains("got a condition (write c ? 1.0 : 0.0)"), "{formula}");
}

#[test]
fn hostile_texts_are_errors() {
    // On a small stack, as a pool's thread may have.
    let run = || {
        let repeat = |s: &str, n: usize| s.repeat(n);
        assert!(matches!(Expression::parse(&repeat("a", MAX_BYTES + 1)), Err(ExprError::TooLong { .. })));
        for text in [
            format!("{}1{}", repeat("(", 4000), repeat(")", 4000)),
            format!("{}1{}", repeat("(", 70), repeat(")", 70)),
            format!("1{}", repeat("+1", 4000)),
            format!("1{}", repeat("+1", 1000)),
            format!("a{}", repeat(".a", 4000)),
            format!("a{}", repeat("[a", 4000)),
            format!("1{}", repeat("<1", 1000)),
            format!("1{}", repeat(" in 1", 1000)),
            format!("1{}", repeat("\nin\n1", 1500)),
            format!("{}1", repeat("a?b:", 1000)),
            format!("{}1", repeat("f(", 60)),
            repeat("'", 8000),
            repeat("\\", 8000),
            repeat("(", 64),
            format!("{}a{}", repeat("f(", 63), repeat(")", 63)),
        ] {
            assert!(Expression::parse(&text).is_err(), "{}", &text[..20]);
        }
        for text in [
            format!("a{}", repeat("&&a", 1025)),
            format!("a{}", repeat("||a", 1025)),
            format!("a in [1{}]", repeat(",1", 2048)),
            format!("1{}", repeat("+(1)", 513)),
        ] {
            assert!(matches!(Expression::parse(&text), Err(ExprError::TooMany { .. })), "{}", &text[..20]);
        }
        assert!(Expression::parse(&format!("{}true", repeat("!", 8000))).is_ok());
        assert!(Expression::parse(&format!("a{}", repeat(".a", 500))).is_ok());
        assert!(Expression::parse(&format!("true{}", repeat(" && true", 900))).is_ok());
        assert!(Expression::parse(&format!("a in ['x'{}]", repeat(", 'x'", 1500))).is_ok());
        assert!(Expression::parse(&format!("{}1{}", repeat("(", 50), repeat(")", 50))).is_ok());
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
}

/// An expression as the test understands it: written as text for the parser, evaluated by itself one row at a time.
#[derive(Clone, Debug)]
enum Tree {
    Literal(i8),
    Column(usize),
    Arithmetic(u8, Box<(Tree, Tree)>),
    Choose(Box<(Test, Tree, Tree)>),
    Coalesce(Box<(Tree, Tree)>),
    Least(Box<(Tree, Tree)>),
    Absolute(Box<Tree>),
}

#[derive(Clone, Debug)]
enum Test {
    Compare(u8, Tree, Tree),
    And(Box<(Test, Test)>),
    Or(Box<(Test, Test)>),
    Not(Box<Test>),
    Has(usize),
    OneOf(usize, Vec<i8>),
}

const NAMES: [&str; 3] = ["score", "item.price", "source.near.rank"];

impl Tree {
    fn text(&self) -> String {
        match self {
            Self::Literal(v) => format!("({v})"),
            Self::Column(at) => NAMES[*at].to_owned(),
            Self::Arithmetic(op, p) => {
                format!("({} {} {})", p.0.text(), ["+", "-", "*", "/"][*op as usize], p.1.text())
            }
            Self::Choose(p) => format!("({} ? {} : {})", p.0.text(), p.1.text(), p.2.text()),
            Self::Coalesce(p) => format!("coalesce({}, {})", p.0.text(), p.1.text()),
            Self::Least(p) => format!("min({}, {})", p.0.text(), p.1.text()),
            Self::Absolute(p) => format!("abs({})", p.text()),
        }
    }

    fn row(&self, row: &[f32; 3]) -> f32 {
        let value = match self {
            Self::Literal(v) => f32::from(*v),
            Self::Column(at) => row[*at],
            Self::Arithmetic(op, p) => {
                let (a, b) = (p.0.row(row), p.1.row(row));
                [a + b, a - b, a * b, a / b][*op as usize]
            }
            Self::Choose(p) => {
                if p.0.row(row) {
                    p.1.row(row)
                } else {
                    p.2.row(row)
                }
            }
            Self::Coalesce(p) => {
                let first = p.0.row(row);
                if first.is_nan() { p.1.row(row) } else { first }
            }
            Self::Least(p) => {
                let (a, b) = (p.0.row(row), p.1.row(row));
                if a.is_nan() || b.is_nan() {
                    f32::NAN
                } else if a < b {
                    a
                } else {
                    b
                }
            }
            Self::Absolute(p) => p.row(row).abs(),
        };
        if value.is_finite() { value } else { f32::NAN }
    }
}

impl Test {
    fn text(&self) -> String {
        match self {
            Self::Compare(op, a, b) => {
                format!("{} {} {}", a.text(), ["<", "<=", ">", ">=", "==", "!="][*op as usize], b.text())
            }
            Self::And(p) => format!("({} && {})", p.0.text(), p.1.text()),
            Self::Or(p) => format!("({} || {})", p.0.text(), p.1.text()),
            Self::Not(p) => format!("!({})", p.text()),
            Self::Has(at) => format!("has({})", NAMES[*at]),
            Self::OneOf(at, list) => format!("{} in {list:?}", NAMES[*at]),
        }
    }

    fn row(&self, row: &[f32; 3]) -> bool {
        match self {
            Self::Compare(op, a, b) => {
                let (a, b) = (a.row(row), b.row(row));
                !a.is_nan() && !b.is_nan() && [a < b, a <= b, a > b, a >= b, a == b, a != b][*op as usize]
            }
            Self::And(p) => p.0.row(row) && p.1.row(row),
            Self::Or(p) => p.0.row(row) || p.1.row(row),
            Self::Not(p) => !p.row(row),
            Self::Has(at) => !row[*at].is_nan(),
            Self::OneOf(at, list) => list.iter().any(|v| f32::from(*v) == row[*at]),
        }
    }
}

fn test_of(tree: impl Strategy<Value = Tree> + Clone + 'static) -> impl Strategy<Value = Test> + Clone {
    let leaf = prop_oneof![
        (0u8..6, tree.clone(), tree).prop_map(|(op, a, b)| Test::Compare(op, a, b)),
        (0usize..3).prop_map(Test::Has),
        (0usize..3, prop::collection::vec(-4i8..4, 0..4)).prop_map(|(at, list)| Test::OneOf(at, list)),
    ];
    leaf.prop_recursive(2, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|p| Test::And(Box::new(p))),
            (inner.clone(), inner.clone()).prop_map(|p| Test::Or(Box::new(p))),
            inner.prop_map(|p| Test::Not(Box::new(p))),
        ]
    })
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![(-4i8..4).prop_map(Tree::Literal), (0usize..3).prop_map(Tree::Column)];
    leaf.prop_recursive(3, 24, 3, |inner| {
        let pair = (inner.clone(), inner.clone());
        prop_oneof![
            (0u8..4, pair.clone()).prop_map(|(op, p)| Tree::Arithmetic(op, Box::new(p))),
            pair.clone().prop_map(|p| Tree::Coalesce(Box::new(p))),
            pair.clone().prop_map(|p| Tree::Least(Box::new(p))),
            inner.clone().prop_map(|p| Tree::Absolute(Box::new(p))),
            (test_of(inner).boxed(), pair).prop_map(|(c, (a, b))| Tree::Choose(Box::new((c, a, b)))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn bulk_is_row_by_row(
        formula in tree(),
        condition in test_of(prop_oneof![(-4i8..4).prop_map(Tree::Literal), (0usize..3).prop_map(Tree::Column)]),
        rows in prop::collection::vec(prop::array::uniform3(prop_oneof![(-4i8..4).prop_map(f32::from), Just(f32::NAN)]), 0..20),
    ) {
        let read = |name: &str| {
            let at = NAMES.iter().position(|n| *n == name).unwrap();
            Ok(ColumnValues::Numbers(rows.iter().map(|r| r[at]).collect()))
        };
        let got = Expression::parse(&formula.text()).unwrap().numbers(rows.len(), &read).unwrap();
        for (row, got) in rows.iter().zip(&got) {
            let want = formula.row(row);
            prop_assert!(*got == want || (got.is_nan() && want.is_nan()), "{}: {got} for {want}", formula.text());
        }
        let got = Expression::parse(&condition.text()).unwrap().mask(rows.len(), &read).unwrap();
        let want: Vec<bool> = rows.iter().map(|r| condition.row(r)).collect();
        prop_assert_eq!(got, want, "{}", condition.text());
    }
}
