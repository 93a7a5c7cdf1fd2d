// Package secrets resolves the references to secrets that plans carry: env://NAME, file:///path,
// awssm://name and ssm://name.
//
// Nothing is cached, so that a rotated secret is seen at its next use, and no error or log ever
// holds a value.
package secrets
