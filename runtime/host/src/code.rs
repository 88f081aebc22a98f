//! Compiled code that is kept between starts: sealed with a key of this installation, and never taken from outside.

use crate::LoadError;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Raised when what is sealed, or how, changes.
const FORMAT: &[u8; 8] = b"qmcode01";
/// Bytes of the code's HMAC-SHA256.
const SEAL: usize = 32;

/// A secret of this installation. Whoever knows it can make the server run machine code: keep it where only the server reads.
pub struct CodeKey([u8; 32]);

impl CodeKey {
    /// From 32 random bytes.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// Code that [`crate::Host::compile`] made for `component`, in a form that [`crate::Host::load_sealed`] accepts.
    #[must_use]
    pub fn seal(&self, component: &[u8], code: &[u8]) -> Vec<u8> {
        let seal = self.mac(component, code).finalize().into_bytes();
        [FORMAT.as_slice(), &seal, code].concat()
    }

    fn mac(&self, component: &[u8], code: &[u8]) -> Hmac<Sha256> {
        let mut key = [0; 64];
        key[..32].copy_from_slice(&self.0);
        let mut mac = Hmac::<Sha256>::new(&key.into());
        mac.update(FORMAT);
        mac.update(&Sha256::digest(component));
        mac.update(code);
        mac
    }

    /// The code, where it was sealed with this key for this component.
    fn open<'a>(&self, component: &[u8], sealed: &'a [u8]) -> Option<&'a [u8]> {
        let (seal, code) = sealed.strip_prefix(FORMAT)?.split_at_checked(SEAL)?;
        self.mac(component, code).verify_slice(seal).ok()?;
        Some(code)
    }
}

/// Compiles a component that was checked.
pub(crate) fn compile(engine: &Engine, component: &[u8]) -> Result<Vec<u8>, LoadError> {
    Component::from_binary(engine, component)
        .and_then(|compiled| compiled.serialize())
        .map_err(|error| LoadError::Invalid(format!("{error:#}")))
}

/// The component of sealed code; `None` when the seal is not ours, or the code is of another version or configuration of
/// the engine.
pub(crate) fn open(engine: &Engine, key: &CodeKey, component: &[u8], sealed: &[u8]) -> Option<Component> {
    let code = key.open(component, sealed)?;
    #[expect(unsafe_code, reason = "running kept machine code is what this file is for")]
    // SAFETY: the seal shows that a process of this installation compiled exactly these bytes for this component, and
    // `deserialize` itself refuses code of another version or configuration.
    unsafe { Component::deserialize(engine, code) }.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_this_key_sealed_for_this_component_opens() {
        let key = CodeKey::new([7; 32]);
        let sealed = key.seal(b"component", b"code");
        assert_eq!(key.open(b"component", &sealed), Some(&b"code"[..]));
        assert_eq!(key.open(b"another", &sealed), None);
        assert_eq!(CodeKey::new([8; 32]).open(b"component", &sealed), None);
        for at in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 1;
            assert_eq!(key.open(b"component", &forged), None, "byte {at}");
            assert_eq!(key.open(b"component", &sealed[..at]), None, "cut at {at}");
        }
    }
}
