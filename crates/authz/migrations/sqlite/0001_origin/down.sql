DROP TABLE changes;
DROP TABLE tuples;
DROP TABLE models;
DROP TABLE stores;
DROP TABLE meta;
