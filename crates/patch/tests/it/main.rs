//! Tests of the patch engines: cases as data, properties, and a comparison with kube-apiserver.

mod cases;
mod properties;
