//! Keys that sign tokens, and the claims of valid tokens.

use aws_lc_rs::{
    encoding::AsDer,
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::{ISSUER, RESOURCE};

pub(crate) fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the built binary goes by this clock")]
    Timestamp::now()
}

/// A key that signs, with the part of it that everybody may know.
pub(crate) struct Signing {
    pub(crate) algorithm: Algorithm,
    pub(crate) name: String,
    pub(crate) key: EncodingKey,
    pub(crate) public: Value,
}

pub(crate) fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn elliptic(name: &str) -> Signing {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref();
    let public = json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": name,
        "x": text(&point[1..33]), "y": text(&point[33..])});
    let key = EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref());
    Signing { algorithm: Algorithm::ES256, name: name.to_owned(), key, public }
}

pub(crate) fn rsa(name: &str) -> Signing {
    let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
    let public = pair.public_key();
    let (modulus, exponent) = (public.modulus(), public.exponent());
    let (n, e) = (text(modulus.big_endian_without_leading_zero()), text(exponent.big_endian_without_leading_zero()));
    // As Entra and Cognito write them: without the algorithm.
    let public = json!({"kty": "RSA", "kid": name, "n": n, "e": e});
    let pkcs8 = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    // The library wants the RSA key inside of the PKCS #8: all behind its 26 bytes of headers.
    let key = EncodingKey::from_rsa_der(&pkcs8.as_ref()[26..]);
    Signing { algorithm: Algorithm::RS256, name: name.to_owned(), key, public }
}

/// What a good token says.
pub(crate) fn claims(scope: &str) -> Value {
    let at = now().as_second();
    json!({"iss": ISSUER, "aud": RESOURCE, "sub": "ada@example.com", "iat": at, "exp": at + 600, "scope": scope})
}

impl Signing {
    pub(crate) fn token(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.name.clone()), ..Header::new(self.algorithm) };
        encode(&header, claims, &self.key).unwrap()
    }

    pub(crate) fn with(&self, change: Value) -> String {
        let mut all = claims("tagledger:read tagledger:live");
        for (name, value) in change.as_object().unwrap() {
            if value.is_null() {
                all.as_object_mut().unwrap().remove(name);
            } else {
                all[name] = value.clone();
            }
        }
        self.token(&all)
    }
}
