//! The modelling language and store files, from outside.

#[cfg(test)]
mod samples;
