mod evaluation;
mod evaluations;
mod metadata;
