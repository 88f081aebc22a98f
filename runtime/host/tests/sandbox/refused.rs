//! What `Host::load` refuses, and with which code.

use crate::component::{Parts, component, from_core, words};
use crate::shop::HOST;
use qianmian_host::{Fault, Host, HostConfig, LoadError};

fn refused(bytes: &[u8]) -> LoadError {
    match HOST.load(bytes) {
        Ok(_) => panic!("loaded"),
        Err(error) => error,
    }
}

fn text(component: &str) -> Vec<u8> {
    wat::parse_str(component).unwrap()
}

#[test]
fn an_ordinary_one_loads_and_says_what_it_is() {
    let bytes = component(&Parts::default());
    let strategy = HOST.load(&bytes).unwrap();
    let said = strategy.description();
    assert_eq!((said.name.as_str(), said.version.as_str()), ("hostile", "1.0.0"));
    assert_eq!(said.parameters_schema, "{}");
    assert_eq!(strategy.digest().len(), 64);
    assert_ne!(strategy.digest(), HOST.load(&component(&Parts { pages: 2, ..Parts::default() })).unwrap().digest());
}

#[test]
fn what_is_no_component() {
    assert_eq!(refused(b"{\"not\": \"wasm\"}").code(), "not_a_component");
    assert_eq!(refused(b"").code(), "not_a_component");
    assert_eq!(refused(&text("(module)")).code(), "not_a_component");
    let mut bytes = component(&Parts::default());
    bytes.truncate(bytes.len() / 2);
    assert_eq!(refused(&bytes).code(), "invalid_component");
    assert_eq!(refused(&vec![0; 5 << 20]), LoadError::TooLarge { got: 5 << 20, limit: 4 << 20 });
}

#[test]
fn every_flipped_byte_is_refused_or_harmless() {
    // Loading must never panic, whatever the bytes are.
    let bytes = component(&Parts::default());
    for at in (0..bytes.len()).step_by(bytes.len() / 150 + 1) {
        let mut broken = bytes.clone();
        broken[at] ^= 0x15;
        let _ = HOST.load(&broken);
    }
}

#[test]
fn imports_that_are_not_on_the_list() {
    for name in ["wasi:cli/environment@0.2.0", "wasi:clocks/wall-clock@0.2.0", "qianmian:strategy/log@0.2.0", "network"]
    {
        let error = refused(&text(&format!(r#"(component (import "{name}" (instance)))"#)));
        assert!(matches!(&error, LoadError::Import { name: got, .. } if got == name), "{error}");
    }
    let error =
        refused(&text(r#"(component (import "qianmian:strategy/log@1.0.0" (instance (export "write" (func)))))"#));
    assert_eq!(error.code(), "wrong_world", "{error}");
    assert_eq!(refused(&text("(component)")).code(), "wrong_world");
}

#[test]
fn features_that_are_off() {
    let threads = "(component (core module (memory 1 1 shared)))";
    let memory64 = "(component (core module (memory i64 1)))";
    let relaxed = "(component (core module (func (param v128) (drop (i32x4.relaxed_trunc_f32x4_s (local.get 0))))))";
    for component in [threads, memory64, relaxed] {
        assert_eq!(refused(&text(component)).code(), "invalid_component", "{component}");
    }
}

#[test]
fn more_memory_than_there_is() {
    let error = refused(&component(&Parts { pages: 300, ..Parts::default() }));
    assert_eq!(error.code(), "needs_too_much", "{error}");
}

#[test]
fn a_start_function_that_traps_or_never_ends() {
    let start = |code: &str| format!("(func $start {code}) (start $start)");
    let error = refused(&component(&Parts { extra: &start("unreachable"), ..Parts::default() }));
    assert!(matches!(error, LoadError::Describe(Fault::Trap { .. })), "{error}");
    let error = refused(&component(&Parts { extra: &start("(loop $l (br $l))"), ..Parts::default() }));
    assert!(matches!(error, LoadError::Describe(Fault::OutOfFuel { .. })), "{error}");
}

#[test]
fn descriptions_that_are_wrong() {
    let described = |record: &[u32], data: &str| {
        from_core(&format!(
            r#"(module (memory (export "memory") 1)
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
              (func (export "describe") (result i32) (i32.const 64))
              (func (export "compose") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i64 i32 i32)
                (result i32) (i32.const 128))
              (data (i32.const 64) "{}") (data (i32.const 256) "{data}"))"#,
            words(record)
        ))
    };
    let field = |bytes: &[u8]| match refused(bytes) {
        LoadError::Description { field, .. } => field,
        other => panic!("{other}"),
    };
    let fine = "name1.0.0{}";
    assert_eq!(field(&described(&[256, 0, 260, 5, 0, 0, 265, 2, 0, 0], fine)), "name");
    assert_eq!(field(&described(&[256, 7, 260, 5, 0, 0, 265, 2, 0, 0], "na me/.1.0.0")), "name");
    assert_eq!(field(&described(&[256, 4, 260, 4, 0, 0, 265, 2, 0, 0], fine)), "version");
    assert_eq!(field(&described(&[256, 4, 260, 5, 0, 0, 256, 4, 0, 0], fine)), "parameters_schema");
    assert_eq!(field(&described(&[256, 4, 260, 5, 2048, 2000, 265, 2, 0, 0], fine)), "summary");
}

#[test]
fn a_host_that_cannot_be() {
    let too_much = HostConfig { instances: u32::MAX, max_memory: 1 << 40, ..HostConfig::default() };
    assert!(matches!(Host::new(too_much), Err(LoadError::Engine(_))));
}
