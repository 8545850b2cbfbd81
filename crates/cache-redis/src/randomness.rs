//! Chance that nobody can foresee, for nonces. Where there is none, nothing is sealed: a nonce that repeats would give values away.

/// There was no randomness to be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct NoRandomness;

/// Gives bytes that nobody can foresee. Unlike [`cache_core::Entropy`], which spreads load and may be guessed, it may fail.
pub trait Randomness: Send + Sync + 'static {
    /// Fills the buffer.
    ///
    /// # Errors
    /// Where there is no randomness; what the buffer holds then is not to be used.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness>;
}

/// The operating system's.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        getrandom::fill(bytes).map_err(|_| NoRandomness)
    }
}
