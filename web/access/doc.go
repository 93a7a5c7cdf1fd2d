// Package access says who looks at the board and what they may do: tokens from a file, sign-in by
// an OpenID Connect provider, the sessions that follow from either, and signed links to one
// customer.
//
// It knows nothing of migrations but the ranks of people. A secret that it is given never reaches
// an error.
package access
