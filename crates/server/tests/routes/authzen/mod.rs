mod evaluation;
mod evaluations;
mod every_endpoint;
mod metadata;
mod search;
