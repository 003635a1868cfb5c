//! Go templates and their function library: text in, text with origins out.
