//! scratch
use qianmian_host::{Host, HostConfig};
use std::time::Instant;
use wasm_encoder::*;

fn comp(m: &Module) -> Vec<u8> {
    let mut c = Component::new();
    c.section(&ModuleSection(m));
    c.finish()
}
fn rss() -> usize {
    let s = std::fs::read_to_string("/proc/self/status").unwrap();
    s.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap().trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
}
fn module(types: &[(usize, usize)], funcs: &[(u32, Function)], pages: u64) -> Module {
    let mut m = Module::new();
    let mut t = TypeSection::new();
    for (p, r) in types { t.ty().function(vec![ValType::I64; *p], vec![ValType::I64; *r]); }
    m.section(&t);
    let mut f = FunctionSection::new();
    for (ty, _) in funcs { f.function(*ty); }
    m.section(&f);
    let mut mem = MemorySection::new();
    mem.memory(MemoryType { minimum: pages, maximum: None, memory64: false, shared: false, page_size_log2: None });
    m.section(&mem);
    let mut c = CodeSection::new();
    for (_, b) in funcs { c.function(b); }
    m.section(&c);
    m
}
fn chain(n: usize) -> Function {
    let mut f = Function::new([]);
    f.instruction(&Instruction::LocalGet(0));
    for i in 0..n {
        f.instruction(&Instruction::I64Const(i as i64));
        f.instruction(&Instruction::LocalGet(0));
        f.instruction(&Instruction::I64Mul);
        f.instruction(&Instruction::I64Add);
    }
    f.instruction(&Instruction::End);
    f
}
fn stores(n: usize) -> Function {
    let mut f = Function::new([]);
    for i in 0..n {
        f.instruction(&Instruction::I32Const(i as i32));
        f.instruction(&Instruction::I64Load(MemArg { offset: i as u64, align: 0, target: MemArgTarget::Memory(0), ordering: None }));
        f.instruction(&Instruction::Drop);
    }
    f.instruction(&Instruction::LocalGet(0));
    f.instruction(&Instruction::End);
    f
}
/// all values pushed, then added: many live.
fn live(n: usize) -> Function {
    let mut f = Function::new([]);
    for i in 0..n { f.instruction(&Instruction::LocalGet(0)); f.instruction(&Instruction::I64Const(i as i64)); f.instruction(&Instruction::I64Mul); }
    for _ in 1..n { f.instruction(&Instruction::I64Add); }
    f.instruction(&Instruction::End);
    f
}
/// blocks with merges over many locals
fn merges(locals: u32, n: usize) -> Function {
    let mut f = Function::new([(locals, ValType::I64)]);
    for i in 0..n {
        let k = 1 + (i as u32 * 7919) % locals;
        f.instruction(&Instruction::Block(BlockType::Empty));
        f.instruction(&Instruction::LocalGet(0)); f.instruction(&Instruction::I32WrapI64);
        f.instruction(&Instruction::BrIf(0));
        f.instruction(&Instruction::LocalGet(1 + (k + 13) % locals)); f.instruction(&Instruction::LocalSet(k));
        f.instruction(&Instruction::End);
    }
    f.instruction(&Instruction::LocalGet(1));
    for l in 2..=locals { f.instruction(&Instruction::LocalGet(l)); f.instruction(&Instruction::I64Add); }
    f.instruction(&Instruction::End);
    f
}
/// many exits to one join, each with every local changed: phis
fn exits(locals: u32, n: usize) -> Function {
    let mut f = Function::new([(locals, ValType::I64)]);
    f.instruction(&Instruction::Block(BlockType::Empty));
    for i in 0..n {
        let k = 1 + (i as u32) % locals;
        f.instruction(&Instruction::LocalGet(0)); f.instruction(&Instruction::LocalSet(k));
        f.instruction(&Instruction::LocalGet(0)); f.instruction(&Instruction::I32WrapI64);
        f.instruction(&Instruction::BrIf(0));
    }
    f.instruction(&Instruction::End);
    f.instruction(&Instruction::LocalGet(1));
    for l in 2..=locals { f.instruction(&Instruction::LocalGet(l)); f.instruction(&Instruction::I64Add); }
    f.instruction(&Instruction::End);
    f
}
fn loops(depth: usize, locals: u32) -> Function {
    let mut f = Function::new([(locals, ValType::I64)]);
    for i in 0..depth { f.instruction(&Instruction::Loop(BlockType::Empty)); let k = 1 + (i as u32) % locals; f.instruction(&Instruction::LocalGet(0)); f.instruction(&Instruction::LocalSet(k)); }
    for i in 0..depth {
        f.instruction(&Instruction::LocalGet(1 + (i as u32) % locals)); f.instruction(&Instruction::I32WrapI64);
        f.instruction(&Instruction::BrIf(0)); f.instruction(&Instruction::End); }
    f.instruction(&Instruction::LocalGet(1));
    f.instruction(&Instruction::End);
    f
}
fn flat_loops(n: usize, locals: u32) -> Function {
    let mut f = Function::new([(locals, ValType::I64)]);
    for i in 0..n { f.instruction(&Instruction::Loop(BlockType::Empty)); let k = 1 + (i as u32) % locals;
        f.instruction(&Instruction::LocalGet(1 + (k + 5) % locals)); f.instruction(&Instruction::LocalSet(k));
        f.instruction(&Instruction::LocalGet(0)); f.instruction(&Instruction::I32WrapI64);
        f.instruction(&Instruction::BrIf(0)); f.instruction(&Instruction::End); }
    f.instruction(&Instruction::LocalGet(1));
    for l in 2..=locals { f.instruction(&Instruction::LocalGet(l)); f.instruction(&Instruction::I64Add); }
    f.instruction(&Instruction::End);
    f
}
fn calls(arity: usize, n: usize) -> Function {
    let mut f = Function::new([]);
    for _ in 0..arity { f.instruction(&Instruction::LocalGet(0)); }
    for _ in 0..n { f.instruction(&Instruction::Call(0)); }
    f.instruction(&Instruction::End);
    f
}
fn br_tables(targets: usize, n: usize) -> Function {
    let mut f = Function::new([]);
    for _ in 0..n {
        f.instruction(&Instruction::Block(BlockType::Empty));
        f.instruction(&Instruction::LocalGet(0)); f.instruction(&Instruction::I32WrapI64);
        f.instruction(&Instruction::BrTable(std::borrow::Cow::Owned(vec![0; targets]), 0));
        f.instruction(&Instruction::End);
    }
    f.instruction(&Instruction::LocalGet(0));
    f.instruction(&Instruction::End);
    f
}
fn empty(locals: u32) -> Function {
    let mut f = Function::new([(locals, ValType::I64)]);
    f.instruction(&Instruction::End);
    f
}
fn v128(locals: u32) -> Function {
    let mut f = Function::new([(locals, ValType::V128)]);
    f.instruction(&Instruction::End);
    f
}

#[test]
fn measure() {
    let Ok(which) = std::env::var("BOMB") else { return };
    let host = Host::new(HostConfig { instances: 1, max_component: 64 << 20, ..HostConfig::default() }).unwrap();
    let w: Vec<&str> = which.split(',').collect();
    let n = |i: usize| w[i].parse::<usize>().unwrap();
    let one = |f: Function| module(&[(1, 1)], &[(0, f)], 1);
    let bytes = match w[0] {
        "chain" => comp(&one(chain(n(1)))),
        "stores" => comp(&one(stores(n(1)))),
        "live" => comp(&one(live(n(1)))),
        "merges" => comp(&one(merges(n(1) as u32, n(2)))),
        "exits" => comp(&one(exits(n(1) as u32, n(2)))),
        "loops" => comp(&one(loops(n(1), n(2) as u32))),
        "flatloops" => comp(&one(flat_loops(n(1), n(2) as u32))),
        "calls" => comp(&module(&[(n(1), n(1)), (1, n(1))], &[(0, { let mut f = Function::new([]); for i in 0..n(1) { f.instruction(&Instruction::LocalGet(i as u32)); } f.instruction(&Instruction::End); f }), (1, calls(n(1), n(2)))], 1)),
        "tables" => comp(&one(br_tables(n(1), n(2)))),
        "locals" => comp(&module(&[(0, 0)], &(0..n(2)).map(|_| (0, empty(n(1) as u32))).collect::<Vec<_>>(), 1)),
        "v128" => comp(&module(&[(0, 0)], &(0..n(2)).map(|_| (0, v128(n(1) as u32))).collect::<Vec<_>>(), 1)),
        "chains" => comp(&module(&[(1, 1)], &(0..n(2)).map(|_| (0, chain(n(1)))).collect::<Vec<_>>(), 1)),
        "liveN" => comp(&module(&[(1, 1)], &(0..n(2)).map(|_| (0, live(n(1)))).collect::<Vec<_>>(), 1)),
        "mergesN" => comp(&module(&[(1, 1)], &(0..n(3)).map(|_| (0, merges(n(1) as u32, n(2)))).collect::<Vec<_>>(), 1)),
        "exitsN" => comp(&module(&[(1, 1)], &(0..n(3)).map(|_| (0, exits(n(1) as u32, n(2)))).collect::<Vec<_>>(), 1)),
        "wat" => wat::parse_str(std::fs::read_to_string(w[1]).unwrap()).unwrap(),
        "bin" => std::fs::read(w[1]).unwrap(),
        "laughs" => {
            let mut t = "(component (component $c0 (core module $m) (core instance (instantiate $m)))\n".to_owned();
            for i in 1..=n(1) { t += &format!("(component $c{i} (alias outer 1 $c{} (component $c)) (instance (instantiate $c)) (instance (instantiate $c)))\n", i - 1); }
            t += &format!("(instance (instantiate $c{})))", n(1));
            wat::parse_str(t).unwrap()
        }
        "globals" => wat::parse_str(format!("(component (core module {}))", "(global (mut i64) (i64.const 1))".repeat(n(1)))).unwrap(),
        "types" => wat::parse_str(format!("(component (core module {}))", (0..n(1)).map(|i| format!("(type (func (param {}) ))", format!("{:b}", i).replace('1', "i64 ").replace('0', "i32 "))).collect::<String>())).unwrap(),
        "data" => wat::parse_str(format!("(component (core module (memory 1) {}))", "(data \"a\")".repeat(n(1)))).unwrap(),
        "elems" => wat::parse_str(format!("(component (core module (table 1 funcref) (func $f) {}))", "(elem func $f)".repeat(n(1)))).unwrap(),
        "exports" => wat::parse_str(format!("(component (core module (func $f) {}))", (0..n(1)).map(|i| format!("(export \"{i}\" (func $f))")).collect::<String>())).unwrap(),
        _ => panic!(),
    };
    let base = rss();
    let t = Instant::now();
    let checked = host.check(&bytes);
    let tc = t.elapsed();
    let t = Instant::now();
    let r = host.compile(&bytes);
    println!("BOMB {which}: {} bytes, check {:?} {}, compile {:?} -> {}, peak {} -> {} MB", bytes.len(), tc, checked.err().map_or("ok".into(), |e| e.to_string()), t.elapsed(),
        match r { Ok(c) => format!("{} bytes of code", c.len()), Err(e) => e.to_string().chars().take(200).collect() }, base, rss());
}

#[test]
fn reasons() {
    if std::env::var("REASONS").is_err() { return }
    let mut m: std::collections::BTreeMap<String, u32> = Default::default();
    for c in qianmian_components::random() {
        let r = match crate::shop::HOST.load(&c) { Err(e) => e.to_string(), Ok(_) => "ok".into() };
        let r: String = r.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).take(260).collect();
        *m.entry(r).or_default() += 1;
    }
    let mut v: Vec<_> = m.into_iter().collect(); v.sort_by_key(|x| std::cmp::Reverse(x.1));
    for (r, n) in v.iter().take(25) { println!("{n} {r}"); }
    let v = crate::calls::reasons();
    for (r, n) in v.iter().take(25) { println!("{n} {r}"); }
}

#[test]
fn parses() {
    if std::env::var("REASONS").is_err() { return }
    let texts = [
        ("ands", "true&&".repeat(1023) + "true"),
        ("ands 1360", "true&&".repeat(1360) + "true"),
        ("cols", (0..900).map(|i| format!("c{i}&&")).collect::<String>() + "true"),
        ("cmp", "a<1&&".repeat(500) + "true"),
        ("list", format!("!(a in [{}1])", "1,".repeat(4000))),
        ("textlist", format!("!(a in [{}'x'])", "'x',".repeat(2000))),
        ("paren", "(".repeat(64) + "1" + &")".repeat(64)),
        ("parens", (0..60).map(|_| "(".repeat(63) + "1" + &")".repeat(63) + "+").collect::<String>() + "1"),
        ("open", "(".repeat(64)),
        ("max", format!("max({}1)", "1,".repeat(4000))),
        ("calls", "max(1,".repeat(63) + "1" + &")".repeat(63)),
        ("calls2", (0..20).map(|_| "max(1,".repeat(60) + "1" + &")".repeat(60) + "+").collect::<String>() + "1"),
        ("index", "a".to_owned() + &"['b']".repeat(1600)),
        ("dots", "a".to_owned() + &".b".repeat(1023)),
        ("nots", "!".repeat(8000) + "true"),
        ("minus", "-".repeat(1023) + "1"),
        ("tern", "true?".repeat(1000) + "1" + &":1".repeat(1000)),
        ("map", format!("{{{}}}", "'a':1,".repeat(1300))),
        ("maps", "{'a':".repeat(63) + "1" + &"}".repeat(63)),
        ("unicode", "\"".to_owned() + &"国".repeat(2700) + "\""),
        ("junk", "@#$ ".repeat(2000)),
        ("commas", ",".repeat(8000)),
        ("idents", "a ".repeat(4000)),
        ("struct", "A{b:A{b:".repeat(31)),
        ("quotes", "'".repeat(8001)),
        ("lists", "[".repeat(64) + &"]".repeat(64)),
        ("plus", "1".to_owned() + &"+1".repeat(1023)),
        ("methods", "a".to_owned() + &".a()".repeat(1023)),
        ("eqs", "a".to_owned() + &"==a".repeat(500)),
        ("ors", "(a||b)&&".repeat(400) + "a"),
        ("nest1", "(a||(b&&".repeat(31) + "a" + &"))".repeat(31)),
        ("nest2", "(((a||b)&&(a||b))||((a||b)&&(a||b)))&&".repeat(100) + "a"),
        ("tern2", "(a?b:c)?".repeat(30) + "1" + &":1".repeat(30)),
        ("cmpnest", "(1<".repeat(60) + "1" + &")".repeat(60)),
        ("comments", "//\n".repeat(2600) + "true"),
        ("strings", "'a'+".repeat(1000) + "'a'"),
        ("backslash", "'".to_owned() + &"\\\\".repeat(4000) + "'"),
        ("raw", "r'''".to_owned() + &"a".repeat(8000)),
        ("digits", "1".repeat(8000)),
        ("exp", "1e".to_owned() + &"9".repeat(8000)),
    ];
    for (name, text) in texts {
        let t = Instant::now();
        let r = qianmian_core::expr::Expression::parse(&text);
        let t1 = t.elapsed();
        let n = r.as_ref().ok().map(|r| { let t = Instant::now(); let _ = r.numbers(5000, &|_| Ok(qianmian_core::ColumnValues::Numbers(vec![1.0; 5000]))); let _ = r.mask(5000, &|_| Ok(qianmian_core::ColumnValues::Numbers(vec![1.0; 5000]))); t.elapsed() / 2 });
        println!("{:?} eval {:?} {name} {} {}", t1, n, text.len(), r.err().map_or("ok".into(), |e| e.to_string().chars().take(80).collect::<String>()));
    }
}
