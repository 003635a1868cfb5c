//! The verdict: the CCT rules applied to a source tree, a Dockerfile, a chart and its manifests.
