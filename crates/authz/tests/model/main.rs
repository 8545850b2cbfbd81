//! The modelling language and store files, from outside.

#[cfg(test)]
mod oracle_fga;
#[cfg(test)]
mod samples;
