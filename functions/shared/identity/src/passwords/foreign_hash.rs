//! Password hashes of older systems: bcrypt, PBKDF2, scrypt and Argon2 as Django, Werkzeug and passlib write them.
//!
//! They are read, capped and checked here and never made: the next sign-in replaces each by a hash of ours. Until then
//! a try at that account takes as long as its old hash takes, not as long as ours: a client that measures may learn
//! that an address was imported and has not signed in since. That cannot be hidden without knowing the password.

use std::num::NonZeroU32;

use argon2::{Algorithm, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::pbkdf2;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::passwords::argon2_backend::Workspace;
use crate::passwords::hashing::{MOST_ITERATIONS, MOST_LANES, MOST_MEMORY_KIB};

/// No hash of the known kinds is longer.
const LONGEST: usize = 512;
/// Libraries pad or do not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// 2^14 rounds take about a second.
const MOST_BCRYPT_COST: u32 = 14;
/// Twice what the newest of the libraries ask for.
const MOST_PBKDF2_ITERATIONS: u32 = 2_500_000;
const MOST_SCRYPT_MEMORY: u64 = 256 * 1024 * 1024;
/// N·r·p, which is what the time goes by; 2^17·8·2.
const MOST_SCRYPT_WORK: u64 = 1 << 21;
/// Bounds of an output's length: shorter ones collide by chance, longer ones are written by no library.
const OUTPUT: std::ops::RangeInclusive<usize> = 16..=128;

/// A hash of an older system that can be checked, at a cost that can be borne.
#[derive(Clone)]
pub struct ImportedHash(String);

impl std::fmt::Debug for ImportedHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ImportedHash(..)")
    }
}

/// Why a hash cannot be imported; the text never quotes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnusableHash {
    /// It is of no known kind, or is damaged.
    #[error("the hash is of no known kind, or damaged")]
    Unknown,
    /// Checking it would take too long or too much memory.
    #[error("the hash asks for more work than may be spent on a sign-in")]
    TooDear,
}

impl ImportedHash {
    /// Returns the hash of an older system, or of this product; fails if its kind is unknown or its cost above the
    /// limits.
    pub fn parse(text: &str) -> Result<Self, UnusableHash> {
        Foreign::parse(text)?;
        Ok(Self(text.to_owned()))
    }

    pub(crate) fn into_stored(self) -> String {
        self.0
    }
}

/// A hash taken apart.
enum Foreign {
    /// bcrypt of the password, or of the hexadecimal SHA-256 of it.
    Bcrypt {
        text: String,
        of_sha256: bool,
    },
    Pbkdf2 {
        algorithm: pbkdf2::Algorithm,
        iterations: NonZeroU32,
        salt: Vec<u8>,
        output: Vec<u8>,
    },
    Scrypt {
        params: scrypt::Params,
        salt: Vec<u8>,
        output: Vec<u8>,
    },
    Argon2 {
        algorithm: Algorithm,
        version: Version,
        params: Params,
        salt: Vec<u8>,
        output: Vec<u8>,
    },
}

/// Returns whether this is the password of the hash; `None` for a hash that cannot be used.
pub(crate) fn is_right(password: &[u8], stored: &str, workspace: &mut Workspace) -> Option<bool> {
    Foreign::parse(stored).ok()?.meets(password, workspace)
}

impl Foreign {
    fn parse(text: &str) -> Result<Self, UnusableHash> {
        if text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UnusableHash::Unknown);
        }
        let parts: Vec<&str> = text.split('$').collect();
        match parts.as_slice() {
            ["", "2a" | "2b" | "2x" | "2y", _, _] => Self::bcrypt(text, false),
            ["bcrypt", "", ..] => Self::bcrypt(text.strip_prefix("bcrypt$").unwrap_or_default(), false),
            ["bcrypt_sha256", "", ..] => {
                Self::bcrypt(text.strip_prefix("bcrypt_sha256$").unwrap_or_default(), true)
            }
            // Django
            [kind @ ("pbkdf2_sha256" | "pbkdf2_sha1"), iterations, salt, output] => {
                let name = kind.strip_prefix("pbkdf2_").unwrap_or_default();
                Self::pbkdf2(name, iterations, salt.as_bytes().to_vec(), base64(output)?)
            }
            ["scrypt", n, salt, r, p, output] => {
                Self::scrypt(log2(n)?, r, p, salt.as_bytes().to_vec(), base64(output)?)
            }
            // passlib
            ["", kind @ ("pbkdf2" | "pbkdf2-sha256" | "pbkdf2-sha512"), iterations, salt, output] => {
                let name = kind.strip_prefix("pbkdf2-").unwrap_or("sha1");
                Self::pbkdf2(name, iterations, adapted_base64(salt)?, adapted_base64(output)?)
            }
            ["", "scrypt", params, salt, output] => {
                let (log_n, r, p) = passlib_scrypt(params)?;
                Self::scrypt(log_n, r, p, base64(salt)?, base64(output)?)
            }
            // Django puts a word before what argon2-cffi writes.
            ["argon2", kind, ..] if kind.starts_with("argon2") => {
                Self::argon2(text.strip_prefix("argon2").unwrap_or_default())
            }
            ["", kind, ..] if kind.starts_with("argon2") => Self::argon2(text),
            // Werkzeug
            [method, salt, output] => Self::werkzeug(method, salt, output),
            _ => Err(UnusableHash::Unknown),
        }
    }

    fn bcrypt(text: &str, of_sha256: bool) -> Result<Self, UnusableHash> {
        let cost = text.split('$').nth(2).and_then(|cost| cost.parse::<u32>().ok());
        let cost = cost.filter(|_| text.len() == 60).ok_or(UnusableHash::Unknown)?;
        if cost > MOST_BCRYPT_COST {
            return Err(UnusableHash::TooDear);
        }
        // The parser of the crate is the judge of the rest.
        text.parse::<bcrypt::HashParts>().map_err(|_| UnusableHash::Unknown)?;
        Ok(Self::Bcrypt { text: text.to_owned(), of_sha256 })
    }

    fn werkzeug(method: &str, salt: &str, output: &str) -> Result<Self, UnusableHash> {
        let (salt, output) = (salt.as_bytes().to_vec(), hexadecimal(output)?);
        let method: Vec<&str> = method.split(':').collect();
        match method.as_slice() {
            ["pbkdf2", name, iterations] => Self::pbkdf2(name, iterations, salt, output),
            ["scrypt", n, r, p] => Self::scrypt(log2(n)?, r, p, salt, output),
            _ => Err(UnusableHash::Unknown),
        }
    }

    fn pbkdf2(name: &str, iterations: &str, salt: Vec<u8>, output: Vec<u8>) -> Result<Self, UnusableHash> {
        let algorithm = match name {
            "sha1" => pbkdf2::PBKDF2_HMAC_SHA1,
            "sha256" => pbkdf2::PBKDF2_HMAC_SHA256,
            "sha512" => pbkdf2::PBKDF2_HMAC_SHA512,
            _ => return Err(UnusableHash::Unknown),
        };
        let iterations: NonZeroU32 = iterations.parse().map_err(|_| UnusableHash::Unknown)?;
        // Each block of output costs all iterations again.
        let blocks = u32::try_from(output.len().div_ceil(20)).unwrap_or(u32::MAX);
        if iterations.get().saturating_mul(blocks.max(4)) > MOST_PBKDF2_ITERATIONS.saturating_mul(4) {
            return Err(UnusableHash::TooDear);
        }
        check_output(&output)?;
        Ok(Self::Pbkdf2 { algorithm, iterations, salt, output })
    }

    fn scrypt(log_n: u8, r: &str, p: &str, salt: Vec<u8>, output: Vec<u8>) -> Result<Self, UnusableHash> {
        let number = |text: &str| text.parse::<u32>().map_err(|_| UnusableHash::Unknown);
        let (r, p) = (number(r)?, number(p)?);
        let params = scrypt::Params::new(log_n, r, p).map_err(|_| UnusableHash::Unknown)?;
        let blocks = params.n().saturating_mul(u64::from(r));
        let is_affordable = blocks.saturating_mul(128) <= MOST_SCRYPT_MEMORY
            && blocks.saturating_mul(u64::from(p)) <= MOST_SCRYPT_WORK;
        if !is_affordable {
            return Err(UnusableHash::TooDear);
        }
        check_output(&output)?;
        Ok(Self::Scrypt { params, salt, output })
    }

    fn argon2(text: &str) -> Result<Self, UnusableHash> {
        let hash = argon2::password_hash::phc::PasswordHash::new(text).map_err(|_| UnusableHash::Unknown)?;
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).map_err(|_| UnusableHash::Unknown)?;
        let version = match hash.version {
            None => Version::V0x10,
            Some(number) => Version::try_from(number).map_err(|_| UnusableHash::Unknown)?,
        };
        let params = Params::try_from(&hash).map_err(|_| UnusableHash::Unknown)?;
        let is_affordable = params.m_cost() <= MOST_MEMORY_KIB
            && params.t_cost() <= MOST_ITERATIONS
            && params.p_cost() <= MOST_LANES;
        if !is_affordable {
            return Err(UnusableHash::TooDear);
        }
        let salt = hash.salt.as_ref().map(|salt| salt.as_ref().to_vec()).ok_or(UnusableHash::Unknown)?;
        let output = hash.hash.map(|output| output.as_bytes().to_vec()).ok_or(UnusableHash::Unknown)?;
        check_output(&output)?;
        Ok(Self::Argon2 { algorithm, version, params, salt, output })
    }

    fn meets(&self, password: &[u8], workspace: &mut Workspace) -> Option<bool> {
        let is_equal = |made: &[u8], output: &[u8]| verify_slices_are_equal(made, output).is_ok();
        match self {
            Self::Bcrypt { text, of_sha256: false } => bcrypt::verify(password, text).ok(),
            Self::Bcrypt { text, of_sha256: true } => {
                let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, password);
                let hexadecimal = digest.as_ref().iter().fold(String::new(), |mut hexadecimal, byte| {
                    use std::fmt::Write;
                    // Writing to a `String` cannot fail.
                    let _ = write!(hexadecimal, "{byte:02x}");
                    hexadecimal
                });
                bcrypt::verify(Zeroizing::new(hexadecimal).as_bytes(), text).ok()
            }
            Self::Pbkdf2 { algorithm, iterations, salt, output } => {
                Some(pbkdf2::verify(*algorithm, *iterations, salt, password, output).is_ok())
            }
            Self::Scrypt { params, salt, output } => {
                let mut made = Zeroizing::new(vec![0; output.len()]);
                scrypt::scrypt(password, salt, params, &mut made).ok()?;
                Some(is_equal(&made, output))
            }
            Self::Argon2 { algorithm, version, params, salt, output } => {
                let mut made = Zeroizing::new(vec![0; output.len()]);
                workspace.hash((*algorithm, *version), params, password, salt, &mut made)?;
                Some(is_equal(&made, output))
            }
        }
    }
}

fn check_output(output: &[u8]) -> Result<(), UnusableHash> {
    if OUTPUT.contains(&output.len()) { Ok(()) } else { Err(UnusableHash::Unknown) }
}

fn base64(text: &str) -> Result<Vec<u8>, UnusableHash> {
    BASE64.decode(text).map_err(|_| UnusableHash::Unknown)
}

/// passlib writes a dot for a plus.
fn adapted_base64(text: &str) -> Result<Vec<u8>, UnusableHash> {
    base64(&text.replace('.', "+"))
}

fn hexadecimal(text: &str) -> Result<Vec<u8>, UnusableHash> {
    let pairs = text.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return Err(UnusableHash::Unknown);
    }
    pairs
        .map(|pair| {
            let digits = std::str::from_utf8(pair).ok().filter(|digits| !digits.starts_with('+'));
            digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).ok_or(UnusableHash::Unknown)
        })
        .collect()
}

fn log2(text: &str) -> Result<u8, UnusableHash> {
    let number: u64 = text.parse().map_err(|_| UnusableHash::Unknown)?;
    if !number.is_power_of_two() {
        return Err(UnusableHash::Unknown);
    }
    u8::try_from(number.trailing_zeros()).map_err(|_| UnusableHash::Unknown)
}

/// `ln=16,r=8,p=1`
fn passlib_scrypt(text: &str) -> Result<(u8, &str, &str), UnusableHash> {
    let mut params = text.split(',');
    let mut next = |name| params.next().and_then(|part| part.strip_prefix(name)).ok_or(UnusableHash::Unknown);
    let (log_n, r, p) = (next("ln=")?, next("r=")?, next("p=")?);
    Ok((log_n.parse().map_err(|_| UnusableHash::Unknown)?, r, p))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::passwords::argon2_backend::Selected;

    /// Made by the libraries themselves, with little work; `tests/foreign_hashes.py` makes fresh ones at full cost.
    const HASHES: [&str; 20] = [
        "pbkdf2_sha256$1000$g3fPBK6dwHe0mSYOQ3dT7N$4pc1eHj26SRED2v9f/wQEiU5eF66Gkh+19Vh2You4dw=",
        "pbkdf2_sha1$1000$ekQlrjAsTXNYyjPZ3sR7J0$73cNPNbOS5E3kTHWDXYDG1zV30k=",
        "bcrypt$$2b$04$YugrH5caVH2QgJqU7LQ1A.qe.IeOPCyLDNH/NoJMYvZ4thu76IyJy",
        "bcrypt_sha256$$2b$04$2TJZTuzL9BmE0MSUEbxI1OagBBX.eqWqpjlpc8J9XKA/hGN5wCSF6",
        "scrypt$16$YyWHammelhGonzf8QfGqd0$8$5$Ho/WrHjGW3nknEUqGdv6K9ur6e6UsYmmZmBacnpVuerumtz6LAwMLsgWsbsJEV5yzCE9PwOSveLuhxZ9rCOdvg==",
        "argon2$argon2id$v=19$m=64,t=1,p=1$MnpXaWhZUFVwcXZDVzFKZ3NDcllrTQ$KMXjfF6E/9Lzwn91pOaOGCuoroeoXp62Opj8Bz6BBEM",
        "pbkdf2:sha256:1000$tZM17WQh9jYJ6VgA$a04b304d48d442990609a265cf1cf756cf89071928c6617e950aa72b296d11b9",
        "pbkdf2:sha512:1000$niCgJ8c339r87o9I$471a76c7107d58ab8840c9150fabd6bace0a772f27c268dc3caa8eebb085a4fd69d3ce45752fd7256841ca37d10dbc72a2686d809362671dcb1291dc71b35b46",
        "pbkdf2:sha1:1000$VQpgStCcRjD7ZPd0$dd5511738e10a67685be86a4bfde656fa936c345",
        "scrypt:1024:8:1$08XnZjgrvhp6D20K$c0db3edd3fb2a53741e5ba990b8b6a351e0fb300ed31597428c5be1c23d7efd9b6d1d7f4d076654408a79be9ddbae6233e410c027dada5e7eec67b3ec5ab83c1",
        "$pbkdf2-sha256$1000$x/hfq9V6b43ROgdACKHUWg$6SSYEBgVku9r0HUhY2hMLFzXvzaF1svrXYf.eZpMAg8",
        "$pbkdf2-sha512$1000$t1bq/V9LKQWA0PrfWyuFcA$2SurAoGqr1FwujF3I8/Cta46ap0YF0/4J2qxQonXXUoNRwgItri6mcNno3x6/12Xd1L9tpvUStBdQ0/HEVQ5kQ",
        "$pbkdf2$1000$OadUSumds1ZqzVlL6Z3zXg$pZMI/8upc.V9MCJuJ05ld.cJnM8",
        "$scrypt$ln=4,r=8,p=1$pzSmdK51jnHufa91Tknp3Q$dPZkPVz3sX3xhYb5eZ5KMwo/fcYcHUJq8tpSReBKGhI",
        "$2b$04$Fo3Av2Q3yXdADHSlf.oiYODCLk5VwG1sV0EIOSu2mfNM1lPg/sKI6",
        "$2a$04$.ZW4w76rp7E7rYykJ07Y3e2SUSrwm024YwAVekrCyL6z603jvNHjC",
        "$2y$04$g4XhWtGFnTowUUtJGputFO817rpPhG.IjEtR4B4xvsZQiTwnQ4o9a",
        "$argon2id$v=19$m=64,t=1,p=2$yckHz3RKHBN6qVsg+rSggg$4RI4hkE6tq2SRdFIQclh+U8Y9Kv0qz2PdfhLq4iDPsA",
        "$argon2i$v=19$m=64,t=1,p=2$2R8C2kO0Eq+rgp5eYUufuw$ISaNNXjCZDXgbM1DqEX31b0yo9XGWiDtYzZTafUT71s",
        "$argon2d$v=19$m=64,t=1,p=2$XNDvOBO6P18gLpSqhvlgpw$Hot9Qc50LGWTIowI6gz56zYmhHfZj/V5X8z23qPKFHw",
    ];

    const BACKENDS: [Selected; 2] = [Selected::Accelerated, Selected::Portable];

    #[test]
    fn each_hash_meets_its_password_and_no_other() {
        for (backend, hash) in HASHES.iter().flat_map(|hash| BACKENDS.map(|backend| (backend, hash))) {
            let mut workspace = Workspace::new(backend);
            assert_eq!(is_right(b"copper lantern", hash, &mut workspace), Some(true), "{hash}");
            assert_eq!(is_right(b"copper lanterm", hash, &mut workspace), Some(false), "{hash}");
            assert_eq!(is_right(b"", hash, &mut workspace), Some(false), "{hash}");
        }
    }

    #[test]
    fn what_would_cost_too_much_is_refused_before_it_is_tried() {
        let output = "A".repeat(44);
        let hexadecimal = "a".repeat(128);
        for dear in [
            format!("$2b$15${}", "a".repeat(53)),
            format!("pbkdf2_sha256$2500001$salt${output}"),
            format!("pbkdf2:sha256:4000000000$salt${hexadecimal}"),
            format!("scrypt:4194304:8:1$salt${hexadecimal}"),
            format!("scrypt:32768:8:64$salt${hexadecimal}"),
            format!("$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ${}", "A".repeat(43)),
            format!("$argon2id$v=19$m=256,t=4000000,p=1$c29tZXNhbHQ${}", "A".repeat(43)),
        ] {
            assert_eq!(Foreign::parse(&dear).err(), Some(UnusableHash::TooDear), "{dear}");
        }
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let long = format!("pbkdf2_sha256$1$salt${}", "A".repeat(600));
        for bad in [
            "",
            "hunter2",
            "!",
            "md5$salt$5f4dcc3b5aa765d61d8327deb882cf99",
            "sha1$salt$5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8",
            "pbkdf2_sha256$0$salt$AAAAAAAAAAAAAAAAAAAAAAAA",
            "pbkdf2_sha256$1$salt$AA==",
            "pbkdf2:md5:1$salt$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "pbkdf2:sha256:1$salt$zz",
            "scrypt:3:8:1$salt$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "$2b$12$short",
            "$argon2id$v=19$m=8,t=1,p=1$$",
            "$scrypt$ln=x,r=8,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAAAA",
            &long,
        ] {
            assert_eq!(Foreign::parse(bad).err(), Some(UnusableHash::Unknown), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_stumble(text in "[$a-z0-9_:=,.+/-]{0,80}") {
            let _ = Foreign::parse(&text);
        }
    }
}
