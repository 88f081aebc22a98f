//! What `Host::load` refuses beside the cases of `tests/hostile/cases`: bytes that no text says, and hosts that cannot be.

use crate::shop::HOST;
use qianmian_components::{Parts, component};
use qianmian_host::{Host, HostConfig, LoadError};

fn refused(bytes: &[u8]) -> LoadError {
    match HOST.load(bytes) {
        Ok(_) => panic!("loaded"),
        Err(error) => error,
    }
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
    assert_eq!(refused(b"").code(), "not_a_component");
    assert_eq!(refused(b"\0asm\x01\0\0\0").code(), "not_a_component");
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
fn a_host_that_cannot_be() {
    let too_much = HostConfig { instances: u32::MAX, max_memory: 1 << 40, ..HostConfig::default() };
    assert!(matches!(Host::new(too_much), Err(LoadError::Engine(_))));
}
