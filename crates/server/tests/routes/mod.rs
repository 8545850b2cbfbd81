mod admin;
mod authzen;
mod health;
mod openfga;
