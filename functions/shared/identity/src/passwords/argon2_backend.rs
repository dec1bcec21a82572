//! Selection of the code that computes Argon2 hashes, and the memory it computes in.
//!
//! Nearly all of a sign-in's time is spent filling that memory. The `argon2` crate fills it with portable code; the
//! `argon2-rust` crate has code for each processor (AVX-512, AVX2, SSE2, NEON), chosen when the process runs, and needs
//! less than half the time. It has unsafe code and no audit, so it computes Argon2id only, only after it has passed
//! [`known_answers`] on this very processor, and only while no operator says otherwise. Whatever else a stored hash may
//! ask for stays with the `argon2` crate. `tests/argon2` compares the two, and both with the reference implementation.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use argon2_rust::Hasher;
use argon2_rust::params::{Memory, TagLen};
use portcullis_platform::{Environment, Misconfigured, Variable};
use zeroize::Zeroize;

mod known_answers;
#[cfg(test)]
mod tests;

pub(crate) const BACKEND: Variable = Variable {
    name: "ARGON2_BACKEND",
    default: "auto",
    about: "what computes Argon2id: `auto` for the fastest code the processor runs, once it has passed its self-test, or `portable`",
    aliases: &[],
};

/// The setting `ARGON2_BACKEND`: which code may compute Argon2id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argon2Backend {
    /// The fastest code this processor runs, if it passes its self-test; otherwise the portable code.
    Auto,
    /// The portable code.
    Portable,
}

impl Argon2Backend {
    /// Returns the setting; fails when it is neither `auto` nor `portable`.
    pub(crate) fn read(environment: &Environment) -> Result<Self, Misconfigured> {
        match environment.text(&BACKEND)?.as_str() {
            "auto" => Ok(Self::Auto),
            "portable" => Ok(Self::Portable),
            _ => Err(Misconfigured::new(BACKEND.name, "is neither `auto` nor `portable`")),
        }
    }

    /// Returns the code that will compute, after the self-test. Takes less than a millisecond.
    pub(crate) fn select(self) -> Selected {
        match self {
            Self::Auto => {
                Selected::after_self_test(known_answers::all_correct(known_answers::compute_accelerated()))
            }
            Self::Portable => Selected::Portable,
        }
    }
}

/// The code that computes Argon2id in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Selected {
    Accelerated,
    Portable,
}

impl Selected {
    fn after_self_test(passed: bool) -> Self {
        let processor = argon2_rust::detected_backend();
        if passed {
            tracing::debug!(%processor, "Argon2id is computed by the accelerated code");
            Self::Accelerated
        } else {
            tracing::error!(
                %processor,
                "the accelerated Argon2id failed its self-test; passwords are hashed by the portable code"
            );
            Self::Portable
        }
    }
}

/// The memory of one hash at a time. It is kept between hashes, because allocating it nearly doubles their time, and
/// wiped after each.
#[derive(Debug)]
pub(crate) struct Workspace {
    accelerated: Option<Hasher>,
    blocks: Vec<Block>,
}

impl Workspace {
    /// Returns a workspace that allocates nothing before its first hash.
    pub(crate) fn new(selected: Selected) -> Self {
        Self { accelerated: (selected == Selected::Accelerated).then(hasher), blocks: Vec::new() }
    }

    /// Computes the hash of a password into `output`, whose length is part of what is hashed. `None` if the parameters
    /// cannot be used or there is not enough memory.
    pub(crate) fn hash(
        &mut self,
        (algorithm, version): (Algorithm, Version),
        params: &Params,
        password: &[u8],
        salt: &[u8],
        output: &mut [u8],
    ) -> Option<()> {
        match &mut self.accelerated {
            Some(hasher) if algorithm == Algorithm::Argon2id => {
                hasher.set_argon2(accelerated(version, params, output.len())?);
                hasher.hash_into(password, salt, output).ok()
            }
            _ => self.hash_portably((algorithm, version), params, password, salt, output),
        }
    }

    fn hash_portably(
        &mut self,
        (algorithm, version): (Algorithm, Version),
        params: &Params,
        password: &[u8],
        salt: &[u8],
        output: &mut [u8],
    ) -> Option<()> {
        let needed = params.block_count();
        if self.blocks.len() < needed {
            self.blocks.resize(needed, Block::default());
        }
        let blocks = self.blocks.get_mut(..needed)?;
        let params =
            Params::new(params.m_cost(), params.t_cost(), params.p_cost(), Some(output.len())).ok()?;
        let hashed = Argon2::new(algorithm, version, params).hash_password_into_with_memory(
            password,
            salt,
            output,
            &mut *blocks,
        );
        blocks.iter_mut().zeroize();
        hashed.ok()
    }
}

/// An accelerated hasher without memory; each hash brings its own parameters.
fn hasher() -> Hasher {
    let (algorithm, version) = (argon2_rust::Algorithm::Argon2id, argon2_rust::Version::V0x13);
    argon2_rust::Argon2::new(algorithm, version, argon2_rust::Params::default()).hasher()
}

/// The same Argon2id for the accelerated code, on the calling thread alone however many lanes there are.
fn accelerated(version: Version, params: &Params, output_length: usize) -> Option<argon2_rust::Argon2> {
    let params = argon2_rust::Params::builder()
        .memory(Memory::kib(params.m_cost().into()))
        .passes(params.t_cost())
        .lanes(params.p_cost())
        .threads(1)
        .tag_len(TagLen::bytes(u64::try_from(output_length).ok()?))
        .build()
        .ok()?;
    let version = argon2_rust::Version::from_u32(version.into())?;
    Some(argon2_rust::Argon2::new(argon2_rust::Algorithm::Argon2id, version, params))
}
