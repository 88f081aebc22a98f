//! Signatures in minisign's format (Ed25519, <https://jedisct1.github.io/minisign/>): checked offline against the keys that
//! the operator trusts.

use crate::error::ApiError;
use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minisign_verify::PublicKey;

/// A signature as `minisign -S` writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature(String);

impl Signature {
    /// From the text of a `.minisig` file.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// From the value of the header `X-Signature`: the file in base64.
    ///
    /// # Errors
    /// 422 `bad_signature`.
    pub fn from_header(value: &str) -> Result<Self, ApiError> {
        let text = STANDARD.decode(value.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        text.map(Self).ok_or_else(|| {
            let detail = "X-Signature is not the text of a .minisig file in base64";
            ApiError::unprocessable("bad_signature", detail)
        })
    }

    /// The value of the header `X-Signature`.
    #[must_use]
    pub fn header(&self) -> String {
        STANDARD.encode(&self.0)
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// The public keys an operator trusts. With none, nothing need be signed.
#[derive(Default)]
pub struct TrustedKeys(Vec<(String, PublicKey)>);

impl TrustedKeys {
    /// From public keys in base64, the second line of minisign's `.pub` files.
    ///
    /// # Errors
    /// The key that is none.
    pub fn new(keys: &[String]) -> anyhow::Result<Self> {
        let read = |key: &String| {
            let public = PublicKey::from_base64(key.trim());
            let public = public.ok().with_context(|| format!("trusted_keys: {key:?} is no minisign public key"))?;
            Ok((key.trim().to_owned(), public))
        };
        keys.iter().map(read).collect::<anyhow::Result<_>>().map(Self)
    }

    /// The key that signed these bytes; `None` where nothing need be signed.
    ///
    /// # Errors
    /// 403 `unsigned` and `wrong_signature`, 422 `bad_signature`.
    pub fn verify(&self, bytes: &[u8], signature: Option<&Signature>) -> Result<Option<&str>, ApiError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let forbidden = |code, detail: &str| ApiError::new(axum::http::StatusCode::FORBIDDEN, code, detail);
        let signature = signature.ok_or_else(|| {
            forbidden("unsigned", "this server takes signed strategies only: `minisign -S`, then push with --signature")
        })?;
        let decoded = minisign_verify::Signature::decode(signature.text()).map_err(|error| {
            ApiError::unprocessable("bad_signature", format!("the signature cannot be read: {error}"))
        })?;
        // No legacy signatures: they are over the bytes themselves, which larger files forbid.
        let by = self.0.iter().find(|(_, key)| key.verify(bytes, &decoded, false).is_ok());
        by.map(|(name, _)| Some(name.as_str())).ok_or_else(|| {
            forbidden("wrong_signature", "no key that this server trusts made this signature for these bytes")
        })
    }
}
