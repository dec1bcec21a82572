//! The bare operations: what no implementation can do without.

use std::hint::black_box;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use argon2_rust::params::{Memory, TagLen};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
};
use portcullis_identity::Argon2Settings;

const PHRASE: &[u8] = b"copper lantern drifts upstream";
const SALT: &[u8] = b"sixteen byte salt";

/// One Argon2id hash in memory that is reused, by the fastest code this processor runs.
pub(crate) fn argon2id(cost: Argon2Settings) -> impl FnMut() {
    let params = argon2_rust::Params::builder()
        .memory(Memory::kib(cost.memory_kib.into()))
        .passes(cost.iterations)
        .lanes(cost.lanes)
        .threads(1)
        .tag_len(TagLen::bytes(32))
        .build()
        .expect("a cost");
    let (algorithm, version) = (argon2_rust::Algorithm::Argon2id, argon2_rust::Version::V0x13);
    let mut hasher = argon2_rust::Argon2::new(algorithm, version, params).hasher();
    move || {
        let mut output = [0; 32];
        hasher.hash_into(black_box(PHRASE), SALT, &mut output).expect("a hash");
        black_box(output);
    }
}

/// The same hash by portable code.
pub(crate) fn portable_argon2id(cost: Argon2Settings) -> impl FnMut() {
    let params = Params::new(cost.memory_kib, cost.iterations, cost.lanes, Some(32)).expect("a cost");
    let mut memory = vec![Block::default(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    move || {
        let mut output = [0; 32];
        argon2
            .hash_password_into_with_memory(black_box(PHRASE), SALT, &mut output, &mut memory)
            .expect("a hash");
        black_box(output);
    }
}

/// One RS256 signature, RSA-2048, with a key parsed before.
pub(crate) fn rs256_signature() -> impl FnMut() {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let random = SystemRandom::new();
    let message = vec![b'x'; 700];
    move || {
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &random, black_box(&message), &mut signature).expect("a signature");
        black_box(signature);
    }
}

/// A new RSA-2048 key, PKCS#8 in PEM.
pub(crate) fn private_key() -> String {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&key).expect("PKCS#8");
    pem::encode(&pem::Pem::new("PRIVATE KEY", der.as_ref()))
}

/// One check of the signature of this token, with a key parsed before.
pub(crate) fn rs256_verification(pem: &str, token: &str) -> impl FnMut() {
    let der = pem::parse(pem).expect("PEM");
    let key = RsaKeyPair::from_pkcs8(der.contents()).expect("a key");
    let public = key.public_key().as_ref();
    let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).expect("a public key");
    let (message, signature) = token.rsplit_once('.').expect("a token");
    let message = message.as_bytes().to_vec();
    let signature = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, signature)
        .expect("base64url");
    move || key.verify_sig(black_box(&message), black_box(&signature)).expect("a valid signature")
}
