//! The tables as diesel sees them; `migrations/sqlite` creates them.

diesel::table! {
    meta (only_row) {
        only_row -> BigInt,
        log_epoch -> Text,
        loading -> BigInt,
    }
}

diesel::table! {
    stores (id) {
        id -> Text,
        name -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    models (sequence) {
        sequence -> BigInt,
        store -> Text,
        id -> Text,
        body -> Text,
    }
}

diesel::table! {
    tuples (store, object_type, object_id, relation, subject_type, subject_relation, subject_id) {
        store -> Text,
        object_type -> Text,
        object_id -> Text,
        relation -> Text,
        subject_type -> Text,
        subject_relation -> Text,
        subject_id -> Text,
        written_at -> BigInt,
        condition -> Text,
        condition_context -> Text,
    }
}

diesel::table! {
    properties (store, object_type, object_id) {
        store -> Text,
        object_type -> Text,
        object_id -> Text,
        body -> Text,
    }
}

diesel::table! {
    assertions (store, model) {
        store -> Text,
        model -> Text,
        body -> Text,
    }
}

diesel::table! {
    changes (revision) {
        revision -> BigInt,
        kind -> Text,
        store -> Nullable<Text>,
        object_type -> Nullable<Text>,
        object_id -> Nullable<Text>,
        relation -> Nullable<Text>,
        subject_type -> Nullable<Text>,
        subject_relation -> Nullable<Text>,
        subject_id -> Nullable<Text>,
        scope -> Nullable<Text>,
        at -> BigInt,
        condition -> Nullable<Text>,
        condition_context -> Nullable<Text>,
    }
}
