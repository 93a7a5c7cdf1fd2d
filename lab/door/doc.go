// Package door stands between a client and an HTTP service of the lab and lets a test act on single
// requests: refuse them, delay them, let them hang, or lose the answer to one that has had its
// effect. The client under test knows nothing of it.
package door
