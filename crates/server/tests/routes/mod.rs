mod admin;
mod authzen;
mod gateway;
mod health;
mod openfga;
