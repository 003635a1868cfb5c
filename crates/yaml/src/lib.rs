//! YAML as Go reads and writes it: documents with positions in, exact bytes out.
