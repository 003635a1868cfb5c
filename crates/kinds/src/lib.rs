//! Every kind Pilotis serves or defines, as data: names, fields, lists, defaults, columns.

pub mod schema;
